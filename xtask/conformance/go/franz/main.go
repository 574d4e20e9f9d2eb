// The suite of franz-go: a client in Go alone that speaks the newest protocol versions.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	. "vltava/conformance/report"
)

var admin *kadm.Client

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(Bootstrap())}, options...)...)
	Must("client", err)
	return made
}

func limit() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	_ = cancel // the whole program ends long before this matters
	return ctx
}

func create(topic string, partitions int32, configs map[string]*string) {
	_, err := admin.CreateTopic(limit(), partitions, 1, configs, topic)
	Must("create "+topic, err)
}

func produce(topic string, count int, options ...kgo.Opt) {
	producer := client(append(options, kgo.DefaultProduceTopic(topic))...)
	defer producer.Close()
	for number := range count {
		producer.Produce(limit(), &kgo.Record{Key: fmt.Appendf(nil, "key-%d", number%13), Value: fmt.Appendf(nil, "%d", number)},
			func(_ *kgo.Record, err error) { Must("produce", err) })
	}
	Must("flush", producer.Flush(limit()))
}

func take(consumer *kgo.Client, count int) []*kgo.Record {
	var taken []*kgo.Record
	for ctx := limit(); len(taken) < count; {
		fetches := consumer.PollFetches(ctx)
		for _, failure := range fetches.Errors() {
			Must(fmt.Sprintf("%d of %d records read", len(taken), count), failure.Err)
		}
		taken = append(taken, fetches.Records()...)
	}
	Equal("records", count, len(taken))
	return taken
}

func text(value string) *string { return &value }

func fails(what string, expected, got error) {
	if !errors.Is(got, expected) {
		panic(fmt.Sprintf("%s: expected %v, got %v", what, expected, got))
	}
}

func main() {
	common := client()
	admin = kadm.NewClient(common)

	Check("the cluster describes itself", func() {
		meta, err := admin.BrokerMetadata(limit())
		Must("metadata", err)
		Equal("brokers", 1, len(meta.Brokers))
		Equal("address", Bootstrap(), fmt.Sprintf("%s:%d", meta.Brokers[0].Host, meta.Brokers[0].Port))
		versions, err := admin.ApiVersions(limit())
		Must("versions", err)
		Equal("answers", 1, len(versions))
	})

	Check("topics are created listed grown and deleted", func() {
		create("fr-life", 2, nil)
		_, err := admin.CreateTopic(limit(), 1, 1, nil, "fr-life")
		fails("a second creation", kerr.TopicAlreadyExists, err)
		listed, err := admin.ListTopics(limit(), "fr-life")
		Must("list", err)
		Equal("partitions", 2, len(listed["fr-life"].Partitions))
		True("a topic id", listed["fr-life"].ID != kadm.TopicID{})
		grown, err := admin.CreatePartitions(limit(), 3, "fr-life")
		Must("grow", err)
		Must("grow", grown.Error())
		_, err = admin.DeleteTopic(limit(), "fr-life")
		Must("delete", err)
		_, err = admin.DeleteTopic(limit(), "fr-life")
		fails("a second deletion", kerr.UnknownTopicOrPartition, err)
	})

	Check("bad topics are refused each with its code", func() {
		for _, bad := range []struct {
			topic      string
			partitions int32
			replicas   int16
			configs    map[string]*string
			expected   error
		}{
			{"fr bad", 1, 1, nil, kerr.InvalidTopicException},
			{"fr-zero", 0, 1, nil, kerr.InvalidPartitions},
			{"fr-many", 1, 9, nil, kerr.InvalidReplicationFactor},
			{"fr-key", 1, 1, map[string]*string{"no.such.key": text("1")}, kerr.InvalidConfig},
			{"fr-value", 1, 1, map[string]*string{"cleanup.policy": text("shred")}, kerr.InvalidConfig},
		} {
			_, err := admin.CreateTopic(limit(), bad.partitions, bad.replicas, bad.configs, bad.topic)
			fails(bad.topic, bad.expected, err)
		}
	})

	Check("every codec round trips", func() {
		for name, codec := range map[string]kgo.CompressionCodec{
			"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
			"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
		} {
			topic := "fr-codec-" + name
			create(topic, 1, nil)
			produce(topic, 500, kgo.ProducerBatchCompression(codec))
			consumer := client(kgo.ConsumeTopics(topic))
			for number, record := range take(consumer, 500) {
				Equal("offset", number, record.Offset)
				Equal("value", number, string(record.Value))
				Equal("key", fmt.Sprintf("key-%d", number%13), string(record.Key))
			}
			consumer.Close()
		}
	})

	Check("headers timestamps and null values survive", func() {
		create("fr-parts", 1, nil)
		stamp := time.UnixMilli(1_600_000_000_123)
		producer := client()
		sent := &kgo.Record{Topic: "fr-parts", Key: []byte("tombstone"), Timestamp: stamp,
			Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: nil}}}
		Must("produce", producer.ProduceSync(limit(), sent).FirstErr())
		producer.Close()
		consumer := client(kgo.ConsumeTopics("fr-parts"))
		got := take(consumer, 1)[0]
		consumer.Close()
		True("a null value", got.Value == nil)
		Equal("timestamp", stamp.UnixMilli(), got.Timestamp.UnixMilli())
		Equal("headers", sent.Headers, got.Headers)
		Equal("leader epoch", 0, got.LeaderEpoch)
	})

	Check("acks zero and one are accepted", func() {
		create("fr-acks", 1, nil)
		produce("fr-acks", 5, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
		produce("fr-acks", 5, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
		Eventually("10 records", 10*time.Second, func() bool {
			ends, err := admin.ListEndOffsets(limit(), "fr-acks")
			Must("end offsets", err)
			end, _ := ends.Lookup("fr-acks", 0)
			return end.Offset == 10
		})
	})

	Check("offsets are listed by kind and by time", func() {
		create("fr-offsets", 1, nil)
		producer := client()
		for number := range 10 {
			record := &kgo.Record{Topic: "fr-offsets", Timestamp: time.UnixMilli(int64(3_000_000 + 1000*number))}
			Must("produce", producer.ProduceSync(limit(), record).FirstErr())
		}
		producer.Close()
		start, err := admin.ListStartOffsets(limit(), "fr-offsets")
		Must("start", err)
		end, err := admin.ListEndOffsets(limit(), "fr-offsets")
		Must("end", err)
		middle, err := admin.ListOffsetsAfterMilli(limit(), 3_004_001, "fr-offsets")
		Must("middle", err)
		newest, err := admin.ListMaxTimestampOffsets(limit(), "fr-offsets")
		Must("newest", err)
		for index, listed := range []kadm.ListedOffsets{start, middle, newest, end} {
			found, _ := listed.Lookup("fr-offsets", 0)
			Must("offset", found.Err)
			Equal("offset", []int64{0, 5, 9, 10}[index], found.Offset)
		}
	})

	Check("records are deleted up to an offset", func() {
		create("fr-delete", 1, nil)
		produce("fr-delete", 20)
		var offsets kadm.Offsets
		offsets.AddOffset("fr-delete", 0, 8, -1)
		deleted, err := admin.DeleteRecords(limit(), offsets)
		Must("delete", err)
		found, _ := deleted.Lookup("fr-delete", 0)
		Equal("low watermark", 8, found.LowWatermark)
		consumer := client(kgo.ConsumeTopics("fr-delete"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		Equal("first left", 8, take(consumer, 12)[0].Offset)
		consumer.Close()
	})

	Check("configs are described and altered", func() {
		create("fr-config", 1, map[string]*string{"retention.ms": text("777777")})
		read := func(key string) string {
			all, err := admin.DescribeTopicConfigs(limit(), "fr-config")
			Must("describe", err)
			for _, config := range all[0].Configs {
				if config.Key == key {
					return config.MaybeValue()
				}
			}
			panic("there is no " + key)
		}
		Equal("as created", "777777", read("retention.ms"))
		altered, err := admin.AlterTopicConfigs(limit(), []kadm.AlterConfig{
			{Op: kadm.SetConfig, Name: "segment.bytes", Value: text("10485760")},
			{Op: kadm.DeleteConfig, Name: "retention.ms"},
		}, "fr-config")
		Must("alter", err)
		Must("alter", altered[0].Err)
		Eventually("the change", 10*time.Second, func() bool { return read("segment.bytes") == "10485760" })
		Equal("the default again", "604800000", read("retention.ms"))
	})

	Check("a group commits and goes on", func() {
		create("fr-group", 3, nil)
		produce("fr-group", 90)
		options := []kgo.Opt{kgo.ConsumerGroup("fr-group"), kgo.ConsumeTopics("fr-group"), kgo.DisableAutoCommit()}
		first := client(options...)
		take(first, 90)
		Must("commit", first.CommitUncommittedOffsets(limit()))
		described, err := admin.DescribeGroups(limit(), "fr-group")
		Must("describe", err)
		Equal("state", "Stable", described["fr-group"].State)
		Equal("assignor", "cooperative-sticky", described["fr-group"].Protocol)
		first.Close()
		produce("fr-group", 10)
		second := client(options...)
		take(second, 10)
		second.Close()
		committed, err := admin.FetchOffsets(limit(), "fr-group")
		Must("offsets", err)
		sum := int64(0)
		committed.Each(func(offset kadm.OffsetResponse) { sum += offset.At })
		Equal("committed", 90, sum)
	})

	Check("every balancer shares all partitions among three members", func() {
		create("fr-share", 6, nil)
		for name, balancer := range map[string]kgo.GroupBalancer{
			"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(),
			"sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer(),
		} {
			var lock sync.Mutex
			owned := make([]int, 3)
			var members []*kgo.Client
			for index := range owned {
				count := func(sign int) func(context.Context, *kgo.Client, map[string][]int32) {
					return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
						lock.Lock()
						defer lock.Unlock()
						owned[index] += sign * len(parts["fr-share"])
					}
				}
				members = append(members, client(kgo.ConsumerGroup("fr-"+name), kgo.ConsumeTopics("fr-share"), kgo.Balancers(balancer),
					kgo.HeartbeatInterval(200*time.Millisecond), kgo.OnPartitionsAssigned(count(1)), kgo.OnPartitionsRevoked(count(-1)), kgo.OnPartitionsLost(count(-1))))
			}
			Eventually(name, 30*time.Second, func() bool {
				lock.Lock()
				defer lock.Unlock()
				return owned[0] == 2 && owned[1] == 2 && owned[2] == 2
			})
			for _, member := range members {
				member.Close()
			}
		}
	})

	Check("groups are listed and deleted", func() {
		listed, err := admin.ListGroups(limit())
		Must("list", err)
		_, found := listed["fr-group"]
		True("fr-group is listed", found)
		Eventually("the group can be deleted", 10*time.Second, func() bool {
			_, err := admin.DeleteGroup(limit(), "fr-group")
			return err == nil
		})
		_, err = admin.DeleteGroup(limit(), "fr-group")
		fails("a second deletion", kerr.GroupIDNotFound, err)
	})

	Check("a session moves records from topic to topic exactly once", func() {
		create("fr-from", 3, nil)
		create("fr-into", 3, nil)
		sent := 0
		filling := client(kgo.TransactionalID("fr-filling"), kgo.DefaultProduceTopic("fr-from"))
		for round := range 5 {
			Must("begin", filling.BeginTransaction())
			for range 20 {
				result := filling.ProduceSync(limit(), &kgo.Record{Value: fmt.Appendf(nil, "%d", sent)})
				Must("produce", result.FirstErr())
				if round%2 == 0 {
					sent++
				}
			}
			Must("end", filling.EndTransaction(limit(), kgo.TransactionEndTry(round%2 == 0)))
		}
		filling.Close()
		moved, aborts := 0, 0
		for moved < sent {
			session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(Bootstrap()), kgo.TransactionalID("fr-mover"), kgo.ConsumerGroup("fr-mover"), kgo.ConsumeTopics("fr-from"),
				kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.DefaultProduceTopic("fr-into"), kgo.HeartbeatInterval(300*time.Millisecond))
			Must("session", err)
			for moved < sent {
				records := session.PollRecords(limit(), 7).Records()
				Must("begin", session.Begin())
				for _, record := range records {
					session.Produce(limit(), &kgo.Record{Value: record.Value}, nil)
				}
				// Some are taken back; then the next session reads again what this one has read.
				committed, err := session.End(limit(), kgo.TransactionEndTry(aborts == 3 || moved < 10*aborts))
				Must("end", err)
				if !committed {
					aborts++
					break
				}
				moved += len(records)
			}
			session.Close()
		}
		True(fmt.Sprint("transactions were aborted: ", aborts), aborts >= 1)
		reader := client(kgo.ConsumeTopics("fr-into"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
		seen := map[string]int{}
		for _, record := range take(reader, sent) {
			seen[string(record.Value)]++
		}
		reader.Close()
		Equal("values, each once", sent, len(seen))
	})

	Check("a second producer of a transactional id fences the first", func() {
		create("fr-fence", 1, nil)
		open := func() *kgo.Client {
			made := client(kgo.TransactionalID("fr-fence"), kgo.DefaultProduceTopic("fr-fence"))
			Must("begin", made.BeginTransaction())
			return made
		}
		first := open()
		Must("produce", first.ProduceSync(limit(), kgo.StringRecord("lost")).FirstErr())
		second := open()
		Must("produce", second.ProduceSync(limit(), kgo.StringRecord("kept")).FirstErr())
		err := first.EndTransaction(limit(), kgo.TryCommit)
		True(fmt.Sprint("the first is fenced: ", err), errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch))
		Must("commit", second.EndTransaction(limit(), kgo.TryCommit))
		first.Close()
		second.Close()
		reader := client(kgo.ConsumeTopics("fr-fence"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
		Equal("value", "kept", string(take(reader, 1)[0].Value))
		reader.Close()
	})

	Check("the broker assigns partitions to a group of the consumer protocol", func() {
		create("fr-next", 6, nil)
		produce("fr-next", 60)
		var lock sync.Mutex
		for name, balancer := range map[string]kgo.GroupBalancer{"uniform": kgo.StickyBalancer(), "range": kgo.RangeBalancer()} {
			group := "fr-next-" + name
			owned, read := make([]int, 2), 0
			var members []*kgo.Client
			for index := range owned {
				count := func(sign int) func(context.Context, *kgo.Client, map[string][]int32) {
					return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
						lock.Lock()
						defer lock.Unlock()
						owned[index] += sign * len(parts["fr-next"])
					}
				}
				members = append(members, client(kgo.ConsumerGroup(group), kgo.ConsumeTopics("fr-next"), kgo.ServerSideBalancer(), kgo.Balancers(balancer), kgo.InstanceID(fmt.Sprint("fr-", index)),
					kgo.OnPartitionsAssigned(count(1)), kgo.OnPartitionsRevoked(count(-1)), kgo.OnPartitionsLost(count(-1))))
			}
			Eventually(name, 40*time.Second, func() bool {
				for _, member := range members {
					ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
					read += member.PollFetches(ctx).NumRecords()
					cancel()
				}
				lock.Lock()
				defer lock.Unlock()
				return owned[0] == 3 && owned[1] == 3 && read >= 60
			})
			described, err := admin.DescribeConsumerGroups(limit(), group)
			Must("describe", err)
			Equal("state", "Stable", described[group].State)
			Equal("assignor", name, described[group].AssignorName)
			Equal("members", 2, len(described[group].Members))
			for _, member := range members {
				member.Close()
			}
		}
	})

	Check("log directories and the quorum are described", func() {
		dirs, err := admin.DescribeAllLogDirs(limit(), nil)
		Must("log dirs", err)
		size := int64(0)
		dirs.Each(func(dir kadm.DescribedLogDir) {
			Must("log dir", dir.Err)
			size += dir.Size()
		})
		True("bytes are counted", size > 0)
		quorum := kmsg.NewPtrDescribeQuorumRequest()
		topic := kmsg.NewDescribeQuorumRequestTopic()
		topic.Topic = "__cluster_metadata"
		topic.Partitions = append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
		quorum.Topics = append(quorum.Topics, topic)
		answer, err := quorum.RequestWith(limit(), common)
		Must("quorum", err)
		Equal("leader", 1, answer.Topics[0].Partitions[0].LeaderID)
	})

	Done()
}
