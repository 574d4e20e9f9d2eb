#!/usr/bin/env bash
# kcat (librdkafka) against a broker. Topics come into being by themselves: the broker creates what a producer asks for.
. "$(dirname "${BASH_SOURCE[0]}")/report.sh"

kcat() { timeout 30 kcat -b "$BOOTSTRAP" "$@"; }
# produce TOPIC [ARGS...]: standard input, one record a line
produce() { kcat -P -t "$@"; }
# consume TOPIC [ARGS...]: everything there is, then end
consume() { kcat -C -q -e -t "$@"; }
# now_ms, offset_of TOPIC WHEN
now_ms() { date +%s%3N; }
offset_of() { kcat -Q -t "$1:0:$2"; }

metadata_lists_the_broker() {
  local text
  text=$(kcat -L)
  contains "$text" "broker 1 at ${BOOTSTRAP}"
  contains "$text" '\(controller\)'
}

metadata_as_json_names_the_controller() {
  local text
  text=$(kcat -L -J)
  contains "$text" '"controllerid":1'
  contains "$text" "\"name\":\"${BOOTSTRAP}\""
}

metadata_of_an_unknown_topic_is_an_error() {
  local text
  text=$(kcat -X allow.auto.create.topics=false -L -t kcat-never-created)
  contains "$text" 'Unknown topic or partition'
}

producing_creates_the_topic() {
  echo first | produce kcat-created
  equal records first "$(consume kcat-created -o beginning)"
  contains "$(kcat -L -t kcat-created)" 'topic "kcat-created" with 1 partitions'
}

every_codec_round_trips() {
  local codec sent
  sent=$(seq -f 'record %.0f with some text that repeats, repeats, repeats' 500)
  for codec in none gzip snappy lz4 zstd; do
    produce "kcat-$codec" -z "$codec" <<<"$sent"
    equal "$codec" "$sent" "$(consume "kcat-$codec" -o beginning)"
  done
}

a_topic_holds_batches_of_several_codecs() {
  local codec
  for codec in none gzip snappy lz4 zstd; do echo "by $codec" | produce kcat-mixed -z "$codec"; done
  equal records 'by none
by gzip
by snappy
by lz4
by zstd' "$(consume kcat-mixed -o beginning)"
}

keys_and_empty_values_survive() {
  printf 'a:1\nb:2\na:\n' | produce kcat-keys -K : -Z
  equal records 'a=1(1)
b=2(1)
a=(-1)' "$(consume kcat-keys -o beginning -f '%k=%s(%S)\n')"
}

headers_survive() {
  echo body | produce kcat-headers -H one=1 -H two=zwei -H one=again -H empty=
  equal headers 'one=1,two=zwei,one=again,empty=' "$(consume kcat-headers -o beginning -f '%h\n')"
}

bytes_survive() {
  head -c 100000 /dev/urandom >blob
  kcat -P -t kcat-bytes blob
  consume kcat-bytes -o beginning -f '%s' >blob.back
  cmp blob blob.back
}

every_ack_level_is_accepted() {
  local acks
  for acks in 0 1 -1; do echo "acks $acks" | produce kcat-acks -X acks=$acks; done
  equal records 3 "$(consume kcat-acks -o beginning | wc -l)"
}

the_idempotent_producer_is_accepted() {
  seq 300 | produce kcat-idempotent -X enable.idempotence=true
  equal records "$(seq 300)" "$(consume kcat-idempotent -o beginning)"
}

offsets_are_dense_from_zero() {
  seq 50 | produce kcat-dense
  equal offsets "$(seq 0 49)" "$(consume kcat-dense -o beginning -f '%o\n')"
}

reading_starts_where_it_is_asked_to() {
  seq 0 99 | produce kcat-seek
  equal 'from 90' "$(seq 90 99)" "$(consume kcat-seek -o 90)"
  equal 'last 5' "$(seq 95 99)" "$(consume kcat-seek -o -5)"
  equal 'from 10, 3 records' "$(seq 10 12)" "$(consume kcat-seek -o 10 -c 3)"
  equal 'from the end' '' "$(consume kcat-seek -o end)"
}

timestamps_are_those_of_the_producer() {
  local before after stamp
  before=$(now_ms)
  echo now | produce kcat-time
  after=$(now_ms)
  stamp=$(consume kcat-time -o beginning -f '%T\n')
  [ "$stamp" -ge "$before" ] && [ "$stamp" -le "$after" ]
}

offsets_are_found_by_time() {
  local middle
  seq 10 | produce kcat-by-time
  sleep 0.05
  middle=$(now_ms)
  sleep 0.05
  seq 11 20 | produce kcat-by-time
  equal 'the middle' 'kcat-by-time [0] offset 10' "$(offset_of kcat-by-time "$middle")"
  equal 'the epoch' 'kcat-by-time [0] offset 0' "$(offset_of kcat-by-time 1)"
  equal 'the end' 'kcat-by-time [0] offset 20' "$(offset_of kcat-by-time -1)"
  equal 'the beginning' 'kcat-by-time [0] offset 0' "$(offset_of kcat-by-time -2)"
  equal 'the future' 'kcat-by-time [0] offset -1' "$(offset_of kcat-by-time $((middle + 3600000)))"
  equal 'reading by time' "$(seq 11 20)" "$(consume kcat-by-time -o s@"$middle")"
}

a_long_poll_ends_when_a_record_arrives() {
  local begun
  echo one | produce kcat-poll
  kcat -C -q -t kcat-poll -o beginning -c 2 -X fetch.wait.max.ms=20000 >polled &
  sleep 1
  begun=$(now_ms)
  echo two | produce kcat-poll
  wait $!
  [ $(($(now_ms) - begun)) -lt 5000 ]
  equal records 'one
two' "$(cat polled)"
}

a_group_goes_on_where_it_stopped() {
  local first second
  seq 40 | produce kcat-group
  first=$(kcat -q -G kcat-readers -X auto.offset.reset=earliest -c 25 kcat-group)
  equal first "$(seq 25)" "$first"
  second=$(kcat -q -G kcat-readers -X auto.offset.reset=earliest -c 15 kcat-group)
  equal second "$(seq 26 40)" "$second"
}

two_members_share_the_partitions() {
  seq 200 | sed 's/.*/k&:v&/' >pairs
  # The broker makes one partition by itself; two topics give the members something to share.
  produce kcat-share-a -K : <pairs
  produce kcat-share-b -K : <pairs
  kcat -q -G kcat-sharers -X auto.offset.reset=earliest -X partition.assignment.strategy=roundrobin -u kcat-share-a kcat-share-b >m1 2>m1.err &
  local one=$!
  kcat -q -G kcat-sharers -X auto.offset.reset=earliest -X partition.assignment.strategy=roundrobin -u kcat-share-a kcat-share-b >m2 2>m2.err &
  local two=$! end=$((SECONDS + 25))
  until [ "$(cat m1 m2 | sort -u | wc -l)" = 200 ] && [ "$(cat m1 m2 | wc -l)" -ge 400 ]; do [ $SECONDS -lt $end ]; sleep 0.2; done
  kill $one $two
  wait $one $two || true
  equal 'all values' 200 "$(cat m1 m2 | sort -u | wc -l)"
}

a_record_that_is_too_large_is_refused() {
  local text
  head -c 1200000 /dev/zero | tr '\0' x >large
  text=$(kcat -P -t kcat-large -X message.max.bytes=3000000 large 2>&1) && { echo 'it was accepted'; return 1; }
  contains "$text" 'Message size too large'
}

an_invalid_topic_name_is_refused() {
  local text
  text=$(echo x | kcat -P -t 'kcat not allowed' -X message.timeout.ms=8000 2>&1) || true
  contains "$text" 'Invalid topic|invalid topic|Broker: Invalid'
}

transactions_are_committed_or_refused_cleanly() {
  local text
  if text=$(seq 5 | timeout 40 kcat -b "$BOOTSTRAP" -P -t kcat-transaction -X transactional.id=kcat-1 2>&1); then
    equal records "$(seq 5)" "$(consume kcat-transaction -o beginning -X isolation.level=read_committed)"
  else
    # A server without transactions must say so; it must not leave the client to its timeout.
    [ "$TARGET" != kafka ]
    contains "$text" 'not|NOT|unsupported|Unsupported'
  fi
}

records_survive_a_restart() {
  seq 1000 | produce kcat-restart -z zstd
  echo '@server restart'
  read -r -t 90 answer <&3
  equal 'the restart' ok "$answer"
  equal records "$(seq 1000)" "$(consume kcat-restart -o beginning)"
  echo 1001 | produce kcat-restart
  equal 'the next record' 1001 "$(consume kcat-restart -o 1000)"
}

exec 3<&0 </dev/null
check metadata_lists_the_broker
check metadata_as_json_names_the_controller
check metadata_of_an_unknown_topic_is_an_error
check producing_creates_the_topic
check every_codec_round_trips
check a_topic_holds_batches_of_several_codecs
check keys_and_empty_values_survive
check headers_survive
check bytes_survive
check every_ack_level_is_accepted
check the_idempotent_producer_is_accepted
check offsets_are_dense_from_zero
check reading_starts_where_it_is_asked_to
check timestamps_are_those_of_the_producer
check offsets_are_found_by_time
check a_long_poll_ends_when_a_record_arrives
check a_group_goes_on_where_it_stopped
check two_members_share_the_partitions
check a_record_that_is_too_large_is_refused
check an_invalid_topic_name_is_refused
check transactions_are_committed_or_refused_cleanly
check records_survive_a_restart
echo '@done'
