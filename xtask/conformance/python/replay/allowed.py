"""The differences that are right, each with its reason. Everything else is a finding."""

import json
import re

# What the broker does not serve it does not advertise; a client sees an API that is not there and does without.
OTHER_APIS = "17|34|36|38|39|40|41|45|48|49|50|51|64|71|72|76|77|78|79|80|81|83|84|85|86|87|88|89|90|91|92|93|94"
FEATURES = r"share\.version|streams\.version|eligible\.leader\.replicas\.version"

# (API, path, what Kafka answers, what we answer, reason); patterns match from beginning to end.
ANY = r".*"
ROWS = [
    ("ApiVersions", rf"ApiKeys\[({OTHER_APIS})\].*", r"\{.*", r'"<absent>"',
     "an API is advertised only when it is complete"),
    ("ApiVersions", rf"(Supported|Finalized)Features\[({FEATURES})\].*", ANY, ANY,
     "the features of APIs that are not served stay at level 0"),
    (ANY, r"(.*\.)?ErrorMessage", r'null|""', r'"<a message>"', "a message that helps is better than none"),
    (ANY, r".*Configs\[vltava\..*\].*", ANY, ANY, "settings of our own"),
    (ANY, r".*Configs\[min\.insync\.replicas\].*", ANY, ANY,
     "a cluster of Kafka is born with a dynamic default of this key, which its eligible leader replicas need"),
    ("Metadata", r"\[0\]\.Topics\[cluster-created-\d+\].*", ANY, ANY,
     "a topic is there when the answer to the request that created it leaves; Kafka says unknown first and creates it later"),
    ("Metadata", r"\[1\]\.(Brokers\.length|ClusterId|ControllerId|ErrorCode|Topics\[0\]\.(ErrorCode|Name))", r"0|null|-1|\"\"", ANY, "Kafka fails as a whole where a topic has neither id nor name; we answer that there is no such id"),
    ("Produce", r"\[2\]\.Responses\[0\]\.Partitions\[0\]\.Records\[0\]\.Records", r'"0e000002010261000e00000001026200"',
     r'"0e000000010261000e00000201026200"', "records whose deltas are out of order are numbered anew, so that offsets rise"),
    ("Produce", r"\[0\].*ErrorCode", r"-1", r"76|87", "records that cannot be decompressed have an error that says so; Kafka's is unknown"),
    ("IncrementalAlterConfigs", r"\[\d\]\.Responses\[topics-unchanged\]\.ErrorCode", r"-1", r"42",
     "an operation that is none is an invalid request; Kafka's error is unknown"),
    ("OffsetFetch", r"\[\d+\]\.Groups\[.*\]\.ErrorCode", r"-1", r"25",
     "a member epoch without a member is of an unknown member; Kafka's error is unknown"),
    ("WriteTxnMarkers", r".*ErrorCode", r"-1", r"47", "a negative epoch is an invalid epoch; Kafka's error is unknown"),
    ("Produce|ListOffsets", r".*\.(PartitionResponses|Partitions)\.length", r"1", r"2",
     "a partition that is named twice is answered twice; Kafka drops the first batch without a word"),
]


def reason(api, version, path, expected, got):
    """Why this difference is right, or nothing."""
    texts = (json.dumps(expected, default=str), json.dumps(got, default=str))
    for row_api, row_path, row_expected, row_got, why in ROWS:
        if re.fullmatch(row_api, api) and re.fullmatch(row_path, path) and re.fullmatch(row_expected, texts[0]) and re.fullmatch(row_got, texts[1]):
            return why
    return None
