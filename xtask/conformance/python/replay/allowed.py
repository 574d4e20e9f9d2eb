"""The differences that are right, each with its reason. Everything else is a finding."""

import re

# What the broker does not serve yet is not advertised; a client sees an API that is not there and does without.
TRANSACTIONS = "24|25|26|27|28|65|66"
OTHER_APIS = "29|30|31|34|38|39|40|41|43|45|46|48|49|50|51|64|68|69|71|72|76|77|78|79|80|81|83|84|85|86|87|88|89|90|91|92|93"
FEATURES = r"group\.version|share\.version|streams\.version|transaction\.version|eligible\.leader\.replicas\.version"

# (API, path, what Kafka answers, what we answer, reason); patterns match from beginning to end.
ROWS = [
    ("ApiVersions", rf"ApiKeys\[({TRANSACTIONS}|{OTHER_APIS})\].*", r"\{.*", r'"<absent>"',
     "an API is advertised only when it is complete"),
    ("ApiVersions", rf"(Supported|Finalized)Features\[({FEATURES})\].*", r".*", r".*",
     "the features of APIs that are not served stay at level 0"),
    ("ApiVersions", r"ZkMigrationReady", r".*", r".*", "there never was a ZooKeeper"),
    ("Produce|DescribeProducers|DescribeConfigs|IncrementalAlterConfigs", r".*\.ErrorMessage", r'null|""', r'"<a message>"',
     "an error says what to do, also where Kafka is silent"),
    ("Produce", r".*\.ErrorCode", r"-1", r"87", "compressed records that cannot be read are the client's mistake, not an unknown one"),
    ("IncrementalAlterConfigs", r".*\.ErrorCode", r"-1", r"42", "an unknown operation is the client's mistake"),
    ("Produce|ListOffsets", r".*\.(PartitionResponses|Partitions)\.length", r"1", r"2",
     "a partition that is named twice is answered twice; Kafka drops the first batch without a word"),
    ("Metadata", r".*\.ErrorCode|.*\.Partitions\.length", r"3|0", r"0|1", "a topic that asking for it creates can be used at once"),
    (".*", r".*Configs\[vltava\..*\].*", r".*", r".*", "settings of our own"),
    (".*", r".*Configs\[min\.insync\.replicas\].*", r".*", r".*",
     "Kafka sets it when it turns on eligible leader replicas, which one node does not have"),
    ("DescribeConfigs", r"Results\[.*\]\.Configs\[vltava\..*\]", r'"<absent>"', r".*", "settings of our own"),
]


def reason(api, version, path, expected, got):
    """Why this difference is right, or nothing."""
    import json

    texts = (json.dumps(expected, default=str), json.dumps(got, default=str))
    for row_api, row_path, row_expected, row_got, why in ROWS:
        if re.fullmatch(row_api, api) and re.fullmatch(row_path, path) and re.fullmatch(row_expected, texts[0]) and re.fullmatch(row_got, texts[1]):
            return why
    return None
