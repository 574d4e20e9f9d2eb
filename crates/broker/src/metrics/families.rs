//! Every family of metrics, declared once: the page of metrics and the reference page come from here.

/// A family of series.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// What its value means.
    pub kind: Kind,
    /// What it tells, in one sentence.
    pub help: &'static str,
    /// The labels of its series. A series may leave out those at the end: it is the sum over them.
    pub labels: &'static [&'static str],
}

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows.
    Counter,
    /// Quantiles of the last minutes, with sum and count since the start.
    Summary,
    /// Counts below bounds since the start.
    Histogram,
}

impl Kind {
    /// The format's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Summary => "summary",
            Kind::Histogram => "histogram",
        }
    }
}

/// One row a family: its constant, kind, name and labels; the doc comment is the help text.
macro_rules! families {
    ($(#[doc = $help:literal] $id:ident: $kind:ident = $name:literal $([$($label:literal),*])?;)*) => {
        $(
            #[doc = $help]
            pub(crate) static $id: Family = Family {
                name: $name,
                kind: Kind::$kind,
                help: $help.trim_ascii(),
                labels: &[$($($label),*)?],
            };
        )*

        /// All of them, in the order of the page.
        pub static FAMILIES: &[&Family] = &[$(&$id),*];
    };
}

families! {
    /// Records that producers have appended.
    MESSAGES_IN: Counter = "kafka_server_brokertopicmetrics_messagesin_total" ["topic"];
    /// Bytes of batches that producers have appended.
    BYTES_IN: Counter = "kafka_server_brokertopicmetrics_bytesin_total" ["topic"];
    /// Bytes of batches that consumers were sent.
    BYTES_OUT: Counter = "kafka_server_brokertopicmetrics_bytesout_total" ["topic"];
    /// Bytes of batches that were refused because they are larger than max.message.bytes.
    BYTES_REJECTED: Counter = "kafka_server_brokertopicmetrics_bytesrejected_total" ["topic"];
    /// Partitions in Produce requests.
    PRODUCE_REQUESTS: Counter = "kafka_server_brokertopicmetrics_totalproducerequests_total" ["topic"];
    /// Partitions in Fetch requests.
    FETCH_REQUESTS: Counter = "kafka_server_brokertopicmetrics_totalfetchrequests_total" ["topic"];
    /// Partitions in Produce requests that were refused.
    FAILED_PRODUCE_REQUESTS: Counter = "kafka_server_brokertopicmetrics_failedproducerequests_total" ["topic"];
    /// Partitions in Fetch requests that were refused.
    FAILED_FETCH_REQUESTS: Counter = "kafka_server_brokertopicmetrics_failedfetchrequests_total" ["topic"];
    /// Batches of producers whose checksum was wrong.
    INVALID_CRC: Counter = "kafka_server_brokertopicmetrics_invalidmessagecrcrecords_total";
    /// Batches of producers whose offsets, count or sequence number cannot be right.
    INVALID_OFFSETS: Counter = "kafka_server_brokertopicmetrics_invalidoffsetorsequencerecords_total";
    /// Records without a key that were refused by compacted topics.
    NO_KEY: Counter = "kafka_server_brokertopicmetrics_nokeycompactedtopicrecords_total";
    /// Records that were written anew when they were appended, for the topic's compression.type or because their offsets were wrong.
    PRODUCE_CONVERSIONS: Counter = "kafka_server_brokertopicmetrics_producemessageconversions_total" ["topic"];

    /// Requests, by API and version.
    REQUESTS: Counter = "kafka_network_requestmetrics_requests_total" ["request", "version"];
    /// Error codes in responses, by API; NONE is success.
    ERRORS: Counter = "kafka_network_requestmetrics_errors_total" ["request", "error"];
    /// Milliseconds from a request's last byte to its reply.
    TOTAL_TIME_MS: Summary = "kafka_network_requestmetrics_totaltimems" ["request"];
    /// Milliseconds in which a request waited behind earlier ones of its connection.
    REQUEST_QUEUE_TIME_MS: Summary = "kafka_network_requestmetrics_requestqueuetimems" ["request"];
    /// Milliseconds in which a request was handled.
    LOCAL_TIME_MS: Summary = "kafka_network_requestmetrics_localtimems" ["request"];
    /// Milliseconds in which a request waited for records, a commit, or members of its group.
    REMOTE_TIME_MS: Summary = "kafka_network_requestmetrics_remotetimems" ["request"];
    /// Milliseconds in which a reply waited for its client to take it, when the connection was full.
    RESPONSE_SEND_TIME_MS: Summary = "kafka_network_requestmetrics_responsesendtimems" ["request"];
    /// Milliseconds in which a reply waited behind earlier ones of its connection.
    RESPONSE_QUEUE_TIME_MS: Summary = "kafka_network_requestmetrics_responsequeuetimems" ["request"];
    /// Milliseconds in which batches were written anew, for the codec of their topic or because of their offsets.
    CONVERSIONS_TIME_MS: Summary = "kafka_network_requestmetrics_messageconversionstimems" ["request"];
    /// Seconds from a request's last byte to its reply.
    TOTAL_TIME_SECONDS: Histogram = "kafka_network_requestmetrics_totaltime_seconds" ["request"];
    /// The size of requests in bytes.
    REQUEST_BYTES: Summary = "kafka_network_requestmetrics_requestbytes" ["request"];

    /// Requests that have come and wait behind earlier ones of their connections.
    REQUEST_QUEUE: Gauge = "kafka_network_requestchannel_requestqueuesize";
    /// Replies that wait behind earlier ones of their connections.
    RESPONSE_QUEUE: Gauge = "kafka_network_requestchannel_responsequeuesize";
    /// Bytes of the memory for large requests that are in use (queued.max.request.bytes).
    REQUEST_MEMORY_USED: Gauge = "kafka_network_socketserver_memorypoolused";
    /// Bytes of the memory for large requests that are left.
    REQUEST_MEMORY_LEFT: Gauge = "kafka_network_socketserver_memorypoolavailable";
    /// Requests that wait for records (Fetch) or for their commit (Produce).
    DELAYED_OPERATIONS: Gauge = "kafka_server_delayedoperationpurgatory_numdelayedoperations" ["delayedOperation"];
    /// Partitions for which requests wait, each as often as one waits for it.
    PURGATORY: Gauge = "kafka_server_delayedoperationpurgatory_purgatorysize" ["delayedOperation"];
    /// Fetch requests that had waited for as long as they may without getting as much as they want.
    DELAYED_FETCH_EXPIRES: Counter = "kafka_server_delayedfetchmetrics_expires_total" ["fetcherType"];

    /// The part of the time since the last look that the threads for connections and their requests had nothing to do.
    NETWORK_IDLE: Gauge = "kafka_network_socketserver_networkprocessoravgidle_percent";
    /// The same: connections and their requests share their threads.
    HANDLERS_IDLE: Gauge = "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent";
    /// The same, where it is asked for by processor: all connections share one set of threads.
    PROCESSOR_IDLE: Gauge = "kafka_network_processor_idle_percent" ["networkProcessor"];
    /// The part of the time, of late, in which limits on connections kept a listener from accepting.
    ACCEPTOR_BLOCKED: Gauge = "kafka_network_acceptor_acceptorblocked_percent" ["listener"];
    /// Open connections.
    CONNECTION_COUNT: Gauge = "kafka_server_socket_server_metrics_connection_count" ["listener", "networkProcessor"];
    /// Connections that were accepted.
    CONNECTION_CREATION: Counter = "kafka_server_socket_server_metrics_connection_creation_total" ["listener", "networkProcessor"];
    /// Connections that were closed.
    CONNECTION_CLOSE: Counter = "kafka_server_socket_server_metrics_connection_close_total" ["listener", "networkProcessor"];
    /// Connections that were accepted a second, of late.
    SOCKET_CREATION_RATE: Gauge = "kafka_server_socket_server_metrics_connection_creation_rate" ["listener", "networkProcessor"];
    /// Connections that were closed a second, of late.
    SOCKET_CLOSE_RATE: Gauge = "kafka_server_socket_server_metrics_connection_close_rate" ["listener", "networkProcessor"];
    /// Requests, by listener.
    SOCKET_REQUEST: Counter = "kafka_server_socket_server_metrics_request_total" ["listener", "networkProcessor"];
    /// Requests a second, of late.
    SOCKET_REQUEST_RATE: Gauge = "kafka_server_socket_server_metrics_request_rate" ["listener", "networkProcessor"];
    /// Replies, by listener.
    SOCKET_RESPONSE: Counter = "kafka_server_socket_server_metrics_response_total" ["listener", "networkProcessor"];
    /// Replies a second, of late.
    SOCKET_RESPONSE_RATE: Gauge = "kafka_server_socket_server_metrics_response_rate" ["listener", "networkProcessor"];
    /// Bytes that were received, by listener.
    SOCKET_INCOMING: Counter = "kafka_server_socket_server_metrics_incoming_byte_total" ["listener", "networkProcessor"];
    /// Bytes that were received a second, of late.
    SOCKET_INCOMING_RATE: Gauge = "kafka_server_socket_server_metrics_incoming_byte_rate" ["listener", "networkProcessor"];
    /// Bytes of replies, by listener.
    SOCKET_OUTGOING: Counter = "kafka_server_socket_server_metrics_outgoing_byte_total" ["listener", "networkProcessor"];
    /// Bytes of replies a second, of late.
    SOCKET_OUTGOING_RATE: Gauge = "kafka_server_socket_server_metrics_outgoing_byte_rate" ["listener", "networkProcessor"];
    /// Connections that were closed because they were idle for connections.max.idle.ms.
    IDLE_CLOSED: Counter = "vltava_network_idle_connections_closed_total";
    /// Open incremental fetch sessions.
    FETCH_SESSIONS: Gauge = "kafka_server_fetchsessioncache_numincrementalfetchsessions";
    /// Partitions in open incremental fetch sessions.
    FETCH_SESSION_PARTITIONS: Gauge = "kafka_server_fetchsessioncache_numincrementalfetchpartitionscached";
    /// Fetch sessions that lost their slot to another.
    FETCH_SESSION_EVICTIONS: Counter = "kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total";

    /// Partitions that this broker leads.
    LEADERS: Gauge = "kafka_server_replicamanager_leadercount";
    /// Partitions with a replica on this broker.
    PARTITIONS: Gauge = "kafka_server_replicamanager_partitioncount";
    /// Replicas on this broker that could not be opened, or whose log directory is offline.
    OFFLINE_REPLICAS: Gauge = "kafka_server_replicamanager_offlinereplicacount";
    /// Partitions led here with fewer in-sync replicas than replicas.
    UNDER_REPLICATED: Gauge = "kafka_server_replicamanager_underreplicatedpartitions";
    /// Partitions led here with fewer in-sync replicas than min.insync.replicas.
    UNDER_MIN_ISR: Gauge = "kafka_server_replicamanager_underminisrpartitioncount";
    /// Partitions led here with just as many in-sync replicas as min.insync.replicas.
    AT_MIN_ISR: Gauge = "kafka_server_replicamanager_atminisrpartitioncount";
    /// Partitions led here whose replicas are being moved.
    REASSIGNING: Gauge = "kafka_server_replicamanager_reassigningpartitions";

    /// 1 when a partition led here has fewer in-sync replicas than replicas.
    PARTITION_UNDER_REPLICATED: Gauge = "kafka_cluster_partition_underreplicated" ["topic", "partition"];
    /// 1 when a partition led here has fewer in-sync replicas than min.insync.replicas.
    PARTITION_UNDER_MIN_ISR: Gauge = "kafka_cluster_partition_underminisr" ["topic", "partition"];
    /// 1 when a partition led here has just as many in-sync replicas as min.insync.replicas asks for.
    PARTITION_AT_MIN_ISR: Gauge = "kafka_cluster_partition_atminisr" ["topic", "partition"];
    /// In-sync replicas of a partition that is led here.
    PARTITION_ISR: Gauge = "kafka_cluster_partition_insyncreplicascount" ["topic", "partition"];
    /// Replicas of a partition that is led here.
    PARTITION_REPLICAS: Gauge = "kafka_cluster_partition_replicascount" ["topic", "partition"];
    /// Offsets between the last stable offset and the high watermark.
    PARTITION_STABLE_LAG: Gauge = "kafka_cluster_partition_laststableoffsetlag" ["topic", "partition"];
    /// Bytes of a partition's log.
    LOG_SIZE: Gauge = "kafka_log_log_size" ["topic", "partition"];
    /// Bytes of a partition's log in percent of its retention.bytes; 0 when that is unlimited.
    LOG_RETENTION_PERCENT: Gauge = "kafka_log_log_retentionsizeinpercent" ["topic", "partition"];
    /// Segments of a partition's log.
    LOG_SEGMENTS: Gauge = "kafka_log_log_numlogsegments" ["topic", "partition"];
    /// The first offset that can be read.
    LOG_START: Gauge = "kafka_log_log_logstartoffset" ["topic", "partition"];
    /// The offset after the last record.
    LOG_END: Gauge = "kafka_log_log_logendoffset" ["topic", "partition"];
    /// Milliseconds in which batches were made durable.
    LOG_FLUSH: Summary = "kafka_log_logflushstats_logflushrateandtimems";
    /// Log directories that take no new replicas.
    CORDONED_DIRECTORIES: Gauge = "kafka_log_logmanager_cordonedlogdirectorycount";
    /// 1 when a log directory takes no new replicas.
    DIRECTORY_CORDONED: Gauge = "kafka_log_logmanager_logdirectorycordoned" ["logDirectory"];
    /// Log directories that are offline.
    OFFLINE_DIRECTORIES: Gauge = "kafka_log_logmanager_offlinelogdirectorycount";
    /// 1 when a log directory is offline.
    DIRECTORY_OFFLINE: Gauge = "kafka_log_logmanager_logdirectoryoffline" ["logDirectory"];
    /// Logs that are still to be opened.
    LOGS_TO_RECOVER: Gauge = "kafka_log_logmanager_remaininglogstorecover";
    /// Segments that are still to be read again, of the logs that are being opened.
    SEGMENTS_TO_RECOVER: Gauge = "kafka_log_logmanager_remainingsegmentstorecover";
    /// Size of the file system of a log directory.
    DIRECTORY_BYTES: Gauge = "vltava_log_directory_bytes" ["directory"];
    /// What is left of the file system of a log directory.
    DIRECTORY_USABLE_BYTES: Gauge = "vltava_log_directory_usable_bytes" ["directory"];

    /// How far the map of keys was filled in the last round of compaction, in percent.
    CLEANER_BUFFER_USED: Gauge = "kafka_log_logcleaner_max_buffer_utilization_percent";
    /// What the last round of compaction wrote, in percent of what it read.
    CLEANER_RECOPIED: Gauge = "kafka_log_logcleaner_cleaner_recopy_percent";
    /// How long the last round of compaction took, in seconds.
    CLEANER_TIME: Gauge = "kafka_log_logcleaner_max_clean_time_secs";
    /// For how long compaction is overdue by max.compaction.lag.ms, in seconds.
    CLEANER_DELAY: Gauge = "kafka_log_logcleaner_max_compaction_delay_secs";
    /// The dirty part of the dirtiest compacted log, in percent.
    CLEANER_DIRTIEST: Gauge = "kafka_log_logcleanermanager_max_dirty_percent";
    /// How long ago it was looked which logs are to be compacted.
    CLEANER_LOOKED: Gauge = "kafka_log_logcleanermanager_time_since_last_run_ms";
    /// Logs that cannot be compacted, because they cannot be read.
    CLEANER_UNCLEANABLE: Gauge = "kafka_log_logcleanermanager_uncleanable_partitions_count" ["logDirectory"];
    /// Dirty bytes of the logs that cannot be compacted.
    CLEANER_UNCLEANABLE_BYTES: Gauge = "kafka_log_logcleanermanager_uncleanable_bytes" ["logDirectory"];

    /// How often partitions that this broker leads lost in-sync replicas.
    ISR_SHRINKS: Counter = "kafka_server_replicamanager_isrshrinks_total";
    /// How often partitions that this broker leads won in-sync replicas.
    ISR_EXPANDS: Counter = "kafka_server_replicamanager_isrexpands_total";
    /// Producers whose state is kept in the partitions that this broker leads.
    PRODUCER_IDS: Gauge = "kafka_server_replicamanager_produceridcount";

    /// Partitions that were given another leader, since this broker was started.
    ELECTIONS: Counter = "vltava_controller_leader_elections_total";
    /// Those of them whose new leader was an eligible replica out of sync (KIP-966).
    ELIGIBLE_ELECTIONS: Counter = "kafka_controller_controllerstats_electionfromeligibleleaderreplicas_total";
    /// Those of them whose new leader was out of sync, so that records may be lost.
    UNCLEAN_ELECTIONS: Counter = "kafka_controller_controllerstats_uncleanleaderelections_total";
    /// How often this node has seen a controller elected, since it was started.
    NEW_CONTROLLERS: Counter = "kafka_controller_kafkacontroller_newactivecontrollerscount";
    /// 1 while this node leads the metadata log and cannot read it.
    CONTROLLER_ERRORS: Gauge = "kafka_controller_kafkacontroller_metadataerrorcount";
    /// Commands that wait for the controller.
    CONTROLLER_QUEUE: Gauge = "kafka_controller_controllereventmanager_eventqueuesize";
    /// Milliseconds in which commands and timers waited for the controller.
    CONTROLLER_QUEUED: Summary = "kafka_controller_controllereventmanager_eventqueuetimems";
    /// Milliseconds in which the controller decided on commands and timers.
    CONTROLLER_PROCESSED: Summary = "kafka_controller_controllereventmanager_eventqueueprocessingtimems";
    /// Milliseconds in which the controller processed what has led to elections of leaders.
    ELECTION_TIME: Summary = "kafka_controller_controllerstats_leaderelectionrateandtimems";
    /// 1 when this node is the active controller.
    ACTIVE_CONTROLLER: Gauge = "kafka_controller_kafkacontroller_activecontrollercount";
    /// Brokers that take part.
    ACTIVE_BROKERS: Gauge = "kafka_controller_kafkacontroller_activebrokercount";
    /// Registered brokers that take no part.
    FENCED_BROKERS: Gauge = "kafka_controller_kafkacontroller_fencedbrokercount";
    /// Topics of the cluster.
    TOPICS: Gauge = "kafka_controller_kafkacontroller_globaltopiccount";
    /// Partitions of the cluster.
    ALL_PARTITIONS: Gauge = "kafka_controller_kafkacontroller_globalpartitioncount";
    /// Partitions without a leader.
    OFFLINE_PARTITIONS: Gauge = "kafka_controller_kafkacontroller_offlinepartitionscount";
    /// Partitions that are not led by their preferred replica.
    PREFERRED_IMBALANCE: Gauge = "kafka_controller_kafkacontroller_preferredreplicaimbalancecount";
    /// The last offset of the metadata log that the controller has applied.
    CONTROLLER_APPLIED: Gauge = "kafka_controller_kafkacontroller_lastappliedrecordoffset";
    /// The last committed offset of the metadata log.
    CONTROLLER_COMMITTED: Gauge = "kafka_controller_kafkacontroller_lastcommittedrecordoffset";
    /// The last offset of the metadata log that the broker has applied.
    BROKER_APPLIED: Gauge = "kafka_server_brokermetadatametrics_last_applied_record_offset";
    /// The timestamp of the last record of the metadata log that was applied, in milliseconds since 1970.
    BROKER_APPLIED_TIMESTAMP: Gauge = "kafka_server_brokermetadatametrics_last_applied_record_timestamp";
    /// How long ago that was, in milliseconds; 0 when everything is applied.
    BROKER_APPLIED_LAG: Gauge = "kafka_server_brokermetadatametrics_last_applied_record_lag_ms";
    /// The same, of the controller.
    CONTROLLER_APPLIED_TIMESTAMP: Gauge = "kafka_controller_kafkacontroller_lastappliedrecordtimestamp";
    /// The same, of the controller.
    CONTROLLER_APPLIED_LAG: Gauge = "kafka_controller_kafkacontroller_lastappliedrecordlagms";
    /// 1 once the metadata log could not be followed any further.
    METADATA_ERRORS: Counter = "kafka_server_brokermetadatametrics_metadata_load_error_count";
    /// The size of the newest snapshot of the metadata.
    SNAPSHOT_BYTES: Gauge = "kafka_server_snapshotemitter_latestsnapshotgeneratedbytes";
    /// How long ago it was taken.
    SNAPSHOT_AGE: Gauge = "kafka_server_snapshotemitter_latestsnapshotgeneratedagems";
    /// The finalised metadata version, as a feature level.
    METADATA_VERSION: Gauge = "kafka_server_metadataloader_currentmetadataversion";

    /// 1, with this node's state in the controller quorum.
    RAFT_STATE: Gauge = "kafka_server_raftmetrics_current_state" ["current_state"];
    /// The leader of the controller quorum; -1 when there is none.
    RAFT_LEADER: Gauge = "kafka_server_raftmetrics_current_leader";
    /// The node that this node has voted for in this epoch, once that leads.
    RAFT_VOTE: Gauge = "kafka_server_raftmetrics_current_vote";
    /// The epoch of the controller quorum.
    RAFT_EPOCH: Gauge = "kafka_server_raftmetrics_current_epoch";
    /// Everything in the metadata log below it is committed.
    RAFT_HIGH_WATERMARK: Gauge = "kafka_server_raftmetrics_high_watermark";
    /// The end of the metadata log on this node.
    RAFT_LOG_END: Gauge = "kafka_server_raftmetrics_log_end_offset";
    /// The epoch of the last record in the metadata log.
    RAFT_LOG_END_EPOCH: Gauge = "kafka_server_raftmetrics_log_end_epoch";
    /// Milliseconds from the proposal of metadata until it was committed, on average since the start.
    RAFT_COMMIT_AVG: Gauge = "kafka_server_raftmetrics_commit_latency_avg";
    /// The most milliseconds from the proposal of metadata until it was committed, since the start.
    RAFT_COMMIT_MAX: Gauge = "kafka_server_raftmetrics_commit_latency_max";
    /// Milliseconds that it took this node to lead the quorum, on average since the start.
    RAFT_ELECTION_AVG: Gauge = "kafka_server_raftmetrics_election_latency_avg";
    /// The most milliseconds that it took this node to lead the quorum, since the start.
    RAFT_ELECTION_MAX: Gauge = "kafka_server_raftmetrics_election_latency_max";
    /// Nodes that vote on metadata.
    RAFT_VOTERS: Gauge = "kafka_server_raftmetrics_number_of_voters";
    /// Nodes that follow the metadata log without a vote.
    RAFT_OBSERVERS: Gauge = "kafka_server_raftmetrics_number_of_observers";

    /// Groups that this broker coordinates.
    GROUPS: Gauge = "kafka_coordinator_group_groupmetadatamanager_numgroups";
    /// Groups whose members are joining.
    GROUPS_PREPARING: Gauge = "kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance";
    /// Groups whose members await their assignments.
    GROUPS_COMPLETING: Gauge = "kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance";
    /// Groups with members and assignments.
    GROUPS_STABLE: Gauge = "kafka_coordinator_group_groupmetadatamanager_numgroupsstable";
    /// Groups that have offsets and no members.
    GROUPS_EMPTY: Gauge = "kafka_coordinator_group_groupmetadatamanager_numgroupsempty";
    /// Groups that are being removed.
    GROUPS_DEAD: Gauge = "kafka_coordinator_group_groupmetadatamanager_numgroupsdead";
    /// Groups that this broker coordinates, by protocol.
    GROUP_COUNT: Gauge = "kafka_server_group_coordinator_metrics_group_count" ["protocol"];
    /// Classic groups that this broker coordinates, by state.
    CLASSIC_GROUP_COUNT: Gauge = "kafka_server_group_coordinator_metrics_classic_group_count" ["state"];
    /// Groups of the consumer protocol that this broker coordinates, by state.
    CONSUMER_GROUP_COUNT: Gauge = "kafka_server_group_coordinator_metrics_consumer_group_count" ["state"];
    /// Offsets that groups have committed and that are kept.
    OFFSETS: Gauge = "kafka_coordinator_group_groupmetadatamanager_numoffsets";
    /// The same, under its newer name.
    OFFSET_COUNT: Gauge = "kafka_server_group_coordinator_metrics_offset_count";
    /// Offsets that groups have committed, within transactions too.
    OFFSET_COMMITS: Counter = "kafka_server_group_coordinator_metrics_offset_commit_count";
    /// Offsets that groups have committed a second, of late.
    OFFSET_COMMIT_RATE: Gauge = "kafka_server_group_coordinator_metrics_offset_commit_rate";
    /// Offsets that were deleted on request, or with their group or their topic.
    OFFSET_DELETIONS: Counter = "kafka_server_group_coordinator_metrics_offset_deletion_count";
    /// Offsets that were deleted a second, of late.
    OFFSET_DELETION_RATE: Gauge = "kafka_server_group_coordinator_metrics_offset_deletion_rate";
    /// Offsets that were forgotten because nobody had used them for offsets.retention.minutes.
    OFFSET_EXPIRATIONS: Counter = "kafka_server_group_coordinator_metrics_offset_expiration_count";
    /// Offsets that expired a second, of late.
    OFFSET_EXPIRATION_RATE: Gauge = "kafka_server_group_coordinator_metrics_offset_expiration_rate";
    /// Rebalances of classic groups that have ended with an assignment.
    CLASSIC_REBALANCES: Counter = "kafka_server_group_coordinator_metrics_group_completed_rebalance_count";
    /// Rebalances of classic groups a second, of late.
    CLASSIC_REBALANCE_RATE: Gauge = "kafka_server_group_coordinator_metrics_group_completed_rebalance_rate";
    /// New epochs of groups of the consumer protocol.
    CONSUMER_REBALANCES: Counter = "kafka_server_group_coordinator_metrics_consumer_group_rebalance_count";
    /// New epochs of groups of the consumer protocol a second, of late.
    CONSUMER_REBALANCE_RATE: Gauge = "kafka_server_group_coordinator_metrics_consumer_group_rebalance_rate";
    /// Commands that wait for the group coordinators of this broker.
    GROUP_QUEUE: Gauge = "kafka_server_group_coordinator_metrics_event_queue_size";
    /// The most milliseconds in which commands and timers waited for a group coordinator, of late.
    GROUP_QUEUED_MAX: Gauge = "kafka_server_group_coordinator_metrics_event_queue_time_ms_max";
    /// Milliseconds in which commands and timers waited for a group coordinator: half of them took no longer, of late.
    GROUP_QUEUED_P50: Gauge = "kafka_server_group_coordinator_metrics_event_queue_time_ms_p50";
    /// The same for 95 of 100.
    GROUP_QUEUED_P95: Gauge = "kafka_server_group_coordinator_metrics_event_queue_time_ms_p95";
    /// The same for 99 of 100.
    GROUP_QUEUED_P99: Gauge = "kafka_server_group_coordinator_metrics_event_queue_time_ms_p99";
    /// The same for 999 of 1,000.
    GROUP_QUEUED_P999: Gauge = "kafka_server_group_coordinator_metrics_event_queue_time_ms_p999";
    /// The most milliseconds in which a group coordinator decided on commands and timers, of late.
    GROUP_PROCESSED_MAX: Gauge = "kafka_server_group_coordinator_metrics_event_processing_time_ms_max";
    /// Milliseconds in which a group coordinator decided on commands and timers: half of them took no longer, of late.
    GROUP_PROCESSED_P50: Gauge = "kafka_server_group_coordinator_metrics_event_processing_time_ms_p50";
    /// The same for 95 of 100.
    GROUP_PROCESSED_P95: Gauge = "kafka_server_group_coordinator_metrics_event_processing_time_ms_p95";
    /// The same for 99 of 100.
    GROUP_PROCESSED_P99: Gauge = "kafka_server_group_coordinator_metrics_event_processing_time_ms_p99";
    /// The same for 999 of 1,000.
    GROUP_PROCESSED_P999: Gauge = "kafka_server_group_coordinator_metrics_event_processing_time_ms_p999";
    /// The most milliseconds in which answers of group coordinators waited for their commit, of late.
    GROUP_COMMITTED_MAX: Gauge = "kafka_server_group_coordinator_metrics_event_purgatory_time_ms_max";
    /// Milliseconds in which answers of group coordinators waited for their commit: half of them took no longer, of late.
    GROUP_COMMITTED_P50: Gauge = "kafka_server_group_coordinator_metrics_event_purgatory_time_ms_p50";
    /// The same for 95 of 100.
    GROUP_COMMITTED_P95: Gauge = "kafka_server_group_coordinator_metrics_event_purgatory_time_ms_p95";
    /// The same for 99 of 100.
    GROUP_COMMITTED_P99: Gauge = "kafka_server_group_coordinator_metrics_event_purgatory_time_ms_p99";
    /// The same for 999 of 1,000.
    GROUP_COMMITTED_P999: Gauge = "kafka_server_group_coordinator_metrics_event_purgatory_time_ms_p999";
    /// The most milliseconds in which batches of group coordinators were open for more records, of late.
    GROUP_LINGERED_MAX: Gauge = "kafka_server_group_coordinator_metrics_batch_linger_time_ms_max";
    /// Milliseconds in which batches of group coordinators were open for more records: half of them took no longer, of late.
    GROUP_LINGERED_P50: Gauge = "kafka_server_group_coordinator_metrics_batch_linger_time_ms_p50";
    /// The same for 95 of 100.
    GROUP_LINGERED_P95: Gauge = "kafka_server_group_coordinator_metrics_batch_linger_time_ms_p95";
    /// The same for 99 of 100.
    GROUP_LINGERED_P99: Gauge = "kafka_server_group_coordinator_metrics_batch_linger_time_ms_p99";
    /// The same for 999 of 1,000.
    GROUP_LINGERED_P999: Gauge = "kafka_server_group_coordinator_metrics_batch_linger_time_ms_p999";
    /// The most milliseconds in which batches of group coordinators were appended, of late.
    GROUP_FLUSHED_MAX: Gauge = "kafka_server_group_coordinator_metrics_batch_flush_time_ms_max";
    /// Milliseconds in which batches of group coordinators were appended: half of them took no longer, of late.
    GROUP_FLUSHED_P50: Gauge = "kafka_server_group_coordinator_metrics_batch_flush_time_ms_p50";
    /// The same for 95 of 100.
    GROUP_FLUSHED_P95: Gauge = "kafka_server_group_coordinator_metrics_batch_flush_time_ms_p95";
    /// The same for 99 of 100.
    GROUP_FLUSHED_P99: Gauge = "kafka_server_group_coordinator_metrics_batch_flush_time_ms_p99";
    /// The same for 999 of 1,000.
    GROUP_FLUSHED_P999: Gauge = "kafka_server_group_coordinator_metrics_batch_flush_time_ms_p999";
    /// Batches that group coordinators append a second, of late.
    GROUP_FLUSH_RATE: Gauge = "kafka_server_group_coordinator_metrics_batch_flush_rate";
    /// The part of the time since the last look that the threads of the coordinators and the controller had nothing to do.
    GROUP_IDLE: Gauge = "kafka_server_group_coordinator_metrics_thread_idle_ratio_avg";
    /// Milliseconds that the replay of a partition of __consumer_offsets took, on average since the start.
    GROUP_LOAD_AVG: Gauge = "kafka_server_group_coordinator_metrics_partition_load_time_avg";
    /// The most milliseconds that the replay of a partition of __consumer_offsets took, since the start.
    GROUP_LOAD_MAX: Gauge = "kafka_server_group_coordinator_metrics_partition_load_time_max";
    /// Milliseconds that the replay of a partition of __transaction_state took, on average since the start.
    TRANSACTION_LOAD_AVG: Gauge = "kafka_server_transaction_coordinator_metrics_partition_load_time_avg";
    /// The most milliseconds that the replay of a partition of __transaction_state took, since the start.
    TRANSACTION_LOAD_MAX: Gauge = "kafka_server_transaction_coordinator_metrics_partition_load_time_max";
    /// Milliseconds in which transaction coordinators vouched for the partitions of a request.
    VERIFICATION_TIME_MS: Summary = "kafka_server_addpartitionstotxnmanager_verificationtimems";
    /// Partitions that transaction coordinators did not vouch for.
    VERIFICATION_FAILURES: Counter = "kafka_server_addpartitionstotxnmanager_verificationfailurerate";

    /// Partitions of __consumer_offsets that this broker coordinates, by what they are doing.
    GROUP_PARTITIONS: Gauge = "kafka_server_group_coordinator_metrics_num_partitions" ["state"];

    /// Requests to the schema registry, by the first digit of their status.
    REGISTRY_REQUESTS: Counter = "vltava_registry_requests_total" ["status"];
    /// Versions of schemas that were registered.
    REGISTRY_REGISTERED: Counter = "vltava_registry_registered_total";
    /// Schemas that were refused because they are incompatible.
    REGISTRY_INCOMPATIBLE: Counter = "vltava_registry_incompatible_total";
    /// Registrations that were decided again because others were first.
    REGISTRY_REPLANNED: Counter = "vltava_registry_replanned_total";
    /// Subjects of the schema registry.
    REGISTRY_SUBJECTS: Gauge = "vltava_registry_subjects";
    /// Versions of schemas, by whether they are deleted softly.
    REGISTRY_VERSIONS: Gauge = "vltava_registry_versions" ["state"];
    /// Distinct schemas, over all contexts.
    REGISTRY_IDS: Gauge = "vltava_registry_ids";

    /// Connectors that this worker runs.
    CONNECTORS: Gauge = "kafka_connect_connect_worker_metrics_connector_count";
    /// Tasks that this worker runs.
    CONNECT_TASKS: Gauge = "kafka_connect_connect_worker_metrics_task_count";
    /// How often connectors were started.
    CONNECTOR_STARTS: Counter = "kafka_connect_connect_worker_metrics_connector_startup_attempts_total";
    /// How often tasks were started.
    TASK_STARTS: Counter = "kafka_connect_connect_worker_metrics_task_startup_attempts_total";
    /// 1, with the state of a connector.
    CONNECTOR_STATUS: Gauge = "kafka_connect_connector_metrics_status" ["connector", "status"];
    /// 1, with the class of a connector.
    CONNECTOR_CLASS: Gauge = "kafka_connect_connector_metrics_connector_class" ["connector", "connector_class"];
    /// 1, with the type of a connector: source or sink.
    CONNECTOR_TYPE: Gauge = "kafka_connect_connector_metrics_connector_type" ["connector", "connector_type"];
    /// 1, with the state of a task.
    TASK_STATUS: Gauge = "kafka_connect_connector_task_metrics_status" ["connector", "task", "status"];
    /// Records of a batch, on average since the task was started.
    TASK_BATCH_AVG: Gauge = "kafka_connect_connector_task_metrics_batch_size_avg" ["connector", "task"];
    /// The most records of a batch, since the task was started.
    TASK_BATCH_MAX: Gauge = "kafka_connect_connector_task_metrics_batch_size_max" ["connector", "task"];
    /// Milliseconds in which offsets were committed, on average since the task was started.
    TASK_COMMIT_AVG: Gauge = "kafka_connect_connector_task_metrics_offset_commit_avg_time_ms" ["connector", "task"];
    /// The most milliseconds in which offsets were committed, since the task was started.
    TASK_COMMIT_MAX: Gauge = "kafka_connect_connector_task_metrics_offset_commit_max_time_ms" ["connector", "task"];
    /// The part of the commits of offsets that succeeded, from 0 to 1.
    TASK_COMMIT_SUCCESS: Gauge = "kafka_connect_connector_task_metrics_offset_commit_success_percentage" ["connector", "task"];
    /// The part of the commits of offsets that failed, from 0 to 1.
    TASK_COMMIT_FAILURE: Gauge = "kafka_connect_connector_task_metrics_offset_commit_failure_percentage" ["connector", "task"];
    /// Records that were polled, since the task was started.
    SOURCE_POLL_TOTAL: Counter = "kafka_connect_source_task_metrics_source_record_poll_total" ["connector", "task"];
    /// Records that were polled a second, of late.
    SOURCE_POLL_RATE: Gauge = "kafka_connect_source_task_metrics_source_record_poll_rate" ["connector", "task"];
    /// Records that the cluster has taken, since the task was started.
    SOURCE_WRITE_TOTAL: Counter = "kafka_connect_source_task_metrics_source_record_write_total" ["connector", "task"];
    /// Records that the cluster has taken a second, of late.
    SOURCE_WRITE_RATE: Gauge = "kafka_connect_source_task_metrics_source_record_write_rate" ["connector", "task"];
    /// Records that were polled and are on their way.
    SOURCE_ACTIVE: Gauge = "kafka_connect_source_task_metrics_source_record_active_count" ["connector", "task"];
    /// Milliseconds of a poll, on average since the task was started.
    SOURCE_POLL_AVG: Gauge = "kafka_connect_source_task_metrics_poll_batch_avg_time_ms" ["connector", "task"];
    /// The most milliseconds of a poll, since the task was started.
    SOURCE_POLL_MAX: Gauge = "kafka_connect_source_task_metrics_poll_batch_max_time_ms" ["connector", "task"];
    /// Records of a transaction, on average since the task was started.
    SOURCE_TRANSACTION_AVG: Gauge = "kafka_connect_source_task_metrics_transaction_size_avg" ["connector", "task"];
    /// The most records of a transaction, since the task was started.
    SOURCE_TRANSACTION_MAX: Gauge = "kafka_connect_source_task_metrics_transaction_size_max" ["connector", "task"];
    /// Records that were read from topics, since the task was started.
    SINK_READ_TOTAL: Counter = "kafka_connect_sink_task_metrics_sink_record_read_total" ["connector", "task"];
    /// Records that were read from topics a second, of late.
    SINK_READ_RATE: Gauge = "kafka_connect_sink_task_metrics_sink_record_read_rate" ["connector", "task"];
    /// Records that the sink has taken, since the task was started.
    SINK_SEND_TOTAL: Counter = "kafka_connect_sink_task_metrics_sink_record_send_total" ["connector", "task"];
    /// Records that the sink has taken a second, of late.
    SINK_SEND_RATE: Gauge = "kafka_connect_sink_task_metrics_sink_record_send_rate" ["connector", "task"];
    /// Records that were read and that the sink has not taken.
    SINK_ACTIVE: Gauge = "kafka_connect_sink_task_metrics_sink_record_active_count" ["connector", "task"];
    /// Partitions that the task reads.
    SINK_PARTITIONS: Gauge = "kafka_connect_sink_task_metrics_partition_count" ["connector", "task"];
    /// Milliseconds in which the sink took a batch, on average since the task was started.
    SINK_PUT_AVG: Gauge = "kafka_connect_sink_task_metrics_put_batch_avg_time_ms" ["connector", "task"];
    /// The most milliseconds in which the sink took a batch, since the task was started.
    SINK_PUT_MAX: Gauge = "kafka_connect_sink_task_metrics_put_batch_max_time_ms" ["connector", "task"];
    /// Commits of offsets that have succeeded, since the task was started.
    SINK_COMMITS: Counter = "kafka_connect_sink_task_metrics_offset_commit_completion_total" ["connector", "task"];
    /// Steps with a record that failed, each try of them, and whole polls of a source or puts of a sink that did.
    TASK_ERRORS: Counter = "kafka_connect_task_error_metrics_total_record_errors" ["connector", "task"];
    /// Records that could not be handled.
    TASK_FAILURES: Counter = "kafka_connect_task_error_metrics_total_record_failures" ["connector", "task"];
    /// Records that could not be handled and were skipped.
    TASK_SKIPPED: Counter = "kafka_connect_task_error_metrics_total_records_skipped" ["connector", "task"];
    /// Steps with a record that were tried again, and whole polls of a source or puts of a sink: a task that grows this runs, but gets nowhere.
    TASK_RETRIES: Counter = "kafka_connect_task_error_metrics_total_retries" ["connector", "task"];
    /// Errors with records that were logged.
    TASK_LOGGED: Counter = "kafka_connect_task_error_metrics_total_errors_logged" ["connector", "task"];
    /// Records that were sent to the dead-letter topic.
    TASK_DEAD_LETTERS: Counter = "kafka_connect_task_error_metrics_deadletterqueue_produce_requests" ["connector", "task"];
    /// Records that did not arrive in the dead-letter topic.
    TASK_DEAD_LETTER_FAILURES: Counter = "kafka_connect_task_error_metrics_deadletterqueue_produce_failures" ["connector", "task"];
    /// When any of that failed last, in milliseconds since 1970; 0 when never.
    TASK_LAST_ERROR: Gauge = "kafka_connect_task_error_metrics_last_error_timestamp" ["connector", "task"];

    /// 1 while the broker starts, 3 while it runs, 6 once it is shutting down.
    BROKER_STATE: Gauge = "kafka_server_kafkaserver_brokerstate";
    /// 1, with the identity of the cluster.
    CLUSTER_ID: Gauge = "kafka_server_kafkaserver_clusterid" ["clusterid"];
    /// Bytes that the process has read from disks.
    DISK_READ: Gauge = "kafka_server_kafkaserver_linux_disk_read_bytes";
    /// Bytes that the process has written to disks.
    DISK_WRITE: Gauge = "kafka_server_kafkaserver_linux_disk_write_bytes";
    /// 1, with the version of this program.
    BUILD_INFO: Gauge = "vltava_build_info" ["version"];
    /// Seconds since the broker was started.
    UPTIME: Gauge = "vltava_uptime_seconds";

    /// Seconds of CPU that the process has used, in user and system mode.
    PROCESS_CPU: Counter = "process_cpu_seconds_total";
    /// Memory of the process that is resident.
    PROCESS_RESIDENT: Gauge = "process_resident_memory_bytes";
    /// Address space of the process.
    PROCESS_VIRTUAL: Gauge = "process_virtual_memory_bytes";
    /// File descriptors that are open.
    PROCESS_FDS: Gauge = "process_open_fds";
    /// File descriptors that may be open.
    PROCESS_FDS_MAX: Gauge = "process_max_fds";
    /// Threads of the process.
    PROCESS_THREADS: Gauge = "process_threads";
}
