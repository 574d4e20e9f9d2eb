"""A request corpus, replayed to two brokers at once, and what may differ between their answers.

`wire` encodes any message of any version from the tables in `crates/protocol/messages`, `batch` builds record batches,
`sides` talks to both brokers and compares, `allowed` lists the differences that are right. The other modules are the
corpus, one per area. Nothing here shares code with the broker, so the comparison is also a check of its codec.
"""
