// The suite of Sarama: an older client in Go with a codec of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	. "vltava/conformance/report"
)

func config(change func(*sarama.Config)) *sarama.Config {
	made := sarama.NewConfig()
	made.Version = sarama.MaxVersion
	made.Producer.Return.Successes = true
	made.Consumer.Offsets.Initial = sarama.OffsetOldest
	made.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	made.Consumer.Group.Session.Timeout = 6 * time.Second
	if change != nil {
		change(made)
	}
	return made
}

func produce(topic string, count int, change func(*sarama.Config)) {
	producer, err := sarama.NewSyncProducer([]string{Bootstrap()}, config(change))
	Must("producer", err)
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for number := range count {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(fmt.Sprintf("key-%d", number%7)),
			Value: sarama.StringEncoder(fmt.Sprint(number)), Headers: []sarama.RecordHeader{{Key: []byte("n"), Value: []byte{byte(number)}}}})
	}
	Must("produce", producer.SendMessages(messages))
}

func take(topic string, offset int64, count int) []*sarama.ConsumerMessage {
	consumer, err := sarama.NewConsumer([]string{Bootstrap()}, config(nil))
	Must("consumer", err)
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(topic, 0, offset)
	Must("partition", err)
	defer partition.Close()
	var taken []*sarama.ConsumerMessage
	for end := time.After(30 * time.Second); len(taken) < count; {
		select {
		case message := <-partition.Messages():
			taken = append(taken, message)
		case <-end:
			panic(fmt.Sprintf("%d of %d records", len(taken), count))
		}
	}
	return taken
}

// handler counts what a member of a group reads.
type handler struct {
	read     atomic.Int64
	owned    atomic.Int64
	sessions atomic.Int64
}

func (h *handler) Setup(session sarama.ConsumerGroupSession) error {
	h.sessions.Add(1)
	owned := 0
	for _, partitions := range session.Claims() {
		owned += len(partitions)
	}
	h.owned.Store(int64(owned))
	return nil
}

func (h *handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h *handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		h.read.Add(1)
		session.MarkMessage(message, "")
	}
	return nil
}

// member joins a group and stays until leave is called.
func member(group, topic string, change func(*sarama.Config)) (h *handler, leave func()) {
	joined, err := sarama.NewConsumerGroup([]string{Bootstrap()}, group, config(change))
	Must("group", err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	h = &handler{}
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if err := joined.Consume(ctx, []string{topic}, h); err != nil && ctx.Err() == nil {
				fmt.Println("consume:", err)
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	return h, func() {
		cancel()
		<-ended
		Must("close", joined.Close())
	}
}

func main() {
	admin, err := sarama.NewClusterAdmin([]string{Bootstrap()}, config(nil))
	if err != nil {
		panic(err)
	}
	create := func(topic string, partitions int32) {
		Must("create "+topic, admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false))
		Eventually(topic+" is known", 10*time.Second, func() bool {
			topics, err := admin.ListTopics()
			return err == nil && topics[topic].NumPartitions == partitions
		})
	}

	Check("the cluster describes itself", func() {
		brokers, controller, err := admin.DescribeCluster()
		Must("describe", err)
		Equal("address", Bootstrap(), brokers[0].Addr())
		True("a controller", controller >= 0)
	})

	Check("topics are created grown and deleted", func() {
		create("sa-life", 2)
		err := admin.CreateTopic("sa-life", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false)
		True("a second creation is refused", errors.Is(err, sarama.ErrTopicAlreadyExists))
		Must("grow", admin.CreatePartitions("sa-life", 5, nil, false))
		Must("delete", admin.DeleteTopic("sa-life"))
		True("a second deletion is refused", errors.Is(admin.DeleteTopic("sa-life"), sarama.ErrUnknownTopicOrPartition))
	})

	Check("bad topics are refused", func() {
		err := admin.CreateTopic("sa bad", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false)
		True(fmt.Sprint("a bad name: ", err), errors.Is(err, sarama.ErrInvalidTopic))
		err = admin.CreateTopic("sa-replicas", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 4}, false)
		True(fmt.Sprint("too many replicas: ", err), errors.Is(err, sarama.ErrInvalidReplicationFactor))
	})

	Check("every codec round trips", func() {
		for _, codec := range []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD} {
			topic := "sa-codec-" + codec.String()
			create(topic, 1)
			produce(topic, 300, func(c *sarama.Config) { c.Producer.Compression = codec })
			for number, message := range take(topic, 0, 300) {
				Equal("offset", number, message.Offset)
				Equal("value", number, string(message.Value))
				Equal("header", []byte{byte(number)}, message.Headers[0].Value)
			}
		}
	})

	Check("old protocol versions are served", func() {
		for _, version := range []sarama.KafkaVersion{sarama.V2_1_0_0, sarama.V2_8_0_0, sarama.V3_6_0_0, sarama.V4_0_0_0} {
			topic := "sa-version-" + version.String()
			create(topic, 1)
			produce(topic, 10, func(c *sarama.Config) { c.Version = version })
			Equal("records", 10, len(take(topic, sarama.OffsetOldest, 10)))
		}
	})

	Check("the idempotent producer is accepted", func() {
		create("sa-idempotent", 1)
		produce("sa-idempotent", 200, func(c *sarama.Config) {
			c.Producer.Idempotent = true
			c.Producer.RequiredAcks = sarama.WaitForAll
			c.Net.MaxOpenRequests = 1
		})
		Equal("last", "199", string(take("sa-idempotent", 0, 200)[199].Value))
	})

	Check("transactions commit and abort records and offsets", func() {
		create("sa-txn", 1)
		transactional := func(c *sarama.Config) {
			c.Producer.Idempotent = true
			c.Producer.RequiredAcks = sarama.WaitForAll
			c.Producer.Transaction.ID = "sa-txn"
			c.Net.MaxOpenRequests = 1
		}
		producer, err := sarama.NewSyncProducer([]string{Bootstrap()}, config(transactional))
		Must("producer", err)
		for round := range 4 {
			Must("begin", producer.BeginTxn())
			_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "sa-txn", Value: sarama.StringEncoder(fmt.Sprint(round))})
			Must("produce", err)
			offsets := map[string][]*sarama.PartitionOffsetMetadata{"sa-txn": {{Partition: 0, Offset: int64(10 + round)}}}
			Must("offsets", producer.AddOffsetsToTxn(offsets, "sa-txn"))
			if round%2 == 0 {
				Must("commit", producer.CommitTxn())
			} else {
				Must("abort", producer.AbortTxn())
			}
		}
		second, err := sarama.NewSyncProducer([]string{Bootstrap()}, config(transactional))
		Must("a second producer", err)
		Must("begin", producer.BeginTxn())
		_, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: "sa-txn", Value: sarama.StringEncoder("fenced")})
		True(fmt.Sprint("the first is fenced: ", err), err != nil)
		_ = producer.Close() // what a fenced producer says at its end is its own affair
		Must("begin", second.BeginTxn())
		_, _, err = second.SendMessage(&sarama.ProducerMessage{Topic: "sa-txn", Value: sarama.StringEncoder("last")})
		Must("produce", err)
		Must("commit", second.CommitTxn())
		Must("close", second.Close())
		consumer, err := sarama.NewConsumer([]string{Bootstrap()}, config(func(c *sarama.Config) { c.Consumer.IsolationLevel = sarama.ReadCommitted }))
		Must("consumer", err)
		defer consumer.Close()
		partition, err := consumer.ConsumePartition("sa-txn", 0, sarama.OffsetOldest)
		Must("partition", err)
		defer partition.Close()
		for _, expected := range []string{"0", "2", "last"} {
			select {
			case message := <-partition.Messages():
				Equal("value", expected, string(message.Value))
			case <-time.After(30 * time.Second):
				panic("no " + expected)
			}
		}
		committed, err := admin.ListConsumerGroupOffsets("sa-txn", map[string][]int32{"sa-txn": {0}})
		Must("offsets", err)
		Equal("committed", 12, committed.GetBlock("sa-txn", 0).Offset)
	})

	Check("offsets are found by time and by end", func() {
		create("sa-offsets", 1)
		producer, err := sarama.NewSyncProducer([]string{Bootstrap()}, config(nil))
		Must("producer", err)
		for number := range 10 {
			_, offset, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "sa-offsets", Value: sarama.StringEncoder("x"), Timestamp: time.UnixMilli(int64(4_000_000 + 100*number))})
			Must("produce", err)
			Equal("offset", number, offset)
		}
		Must("close", producer.Close())
		client, err := sarama.NewClient([]string{Bootstrap()}, config(nil))
		Must("client", err)
		defer client.Close()
		for when, expected := range map[int64]int64{sarama.OffsetOldest: 0, sarama.OffsetNewest: 10, 4_000_250: 3} {
			offset, err := client.GetOffset("sa-offsets", 0, when)
			Must("offset", err)
			Equal(fmt.Sprint("offset at ", when), expected, offset)
		}
	})

	Check("records are deleted up to an offset", func() {
		create("sa-delete", 1)
		produce("sa-delete", 10, nil)
		Must("delete", admin.DeleteRecords("sa-delete", map[int32]int64{0: 6}))
		Equal("first left", 6, take("sa-delete", sarama.OffsetOldest, 4)[0].Offset)
	})

	Check("configs are described and altered", func() {
		create("sa-config", 1)
		value := "10000000"
		Must("alter", admin.IncrementalAlterConfig(sarama.TopicResource, "sa-config", map[string]sarama.IncrementalAlterConfigsEntry{
			"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}, false))
		Eventually("the change", 10*time.Second, func() bool {
			entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: "sa-config", ConfigNames: []string{"retention.ms"}})
			return err == nil && len(entries) == 1 && entries[0].Value == value
		})
	})

	Check("every strategy shares all partitions of a group", func() {
		create("sa-share", 4)
		for _, strategy := range []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange(), sarama.NewBalanceStrategyRoundRobin(), sarama.NewBalanceStrategySticky()} {
			use := func(c *sarama.Config) {
				c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
			}
			one, leaveOne := member("sa-"+strategy.Name(), "sa-share", use)
			two, leaveTwo := member("sa-"+strategy.Name(), "sa-share", use)
			Eventually(strategy.Name(), 30*time.Second, func() bool { return one.owned.Load() == 2 && two.owned.Load() == 2 })
			leaveOne()
			Eventually("the other takes over", 30*time.Second, func() bool { return two.owned.Load() == 4 })
			leaveTwo()
		}
	})

	Check("a group goes on where it stopped", func() {
		create("sa-group", 2)
		produce("sa-group", 50, nil)
		first, leave := member("sa-group", "sa-group", nil)
		Eventually("50 records", 30*time.Second, func() bool { return first.read.Load() == 50 })
		leave()
		produce("sa-group", 20, nil)
		second, leave := member("sa-group", "sa-group", nil)
		Eventually("20 records", 30*time.Second, func() bool { return second.read.Load() == 20 })
		leave()
		offsets, err := admin.ListConsumerGroupOffsets("sa-group", map[string][]int32{"sa-group": {0, 1}})
		Must("offsets", err)
		Equal("committed", 70, offsets.GetBlock("sa-group", 0).Offset+offsets.GetBlock("sa-group", 1).Offset)
	})

	Check("groups are listed described and deleted", func() {
		groups, err := admin.ListConsumerGroups()
		Must("list", err)
		Equal("type", "consumer", groups["sa-group"])
		described, err := admin.DescribeConsumerGroups([]string{"sa-group"})
		Must("describe", err)
		Equal("state", "Empty", described[0].State)
		Must("delete offsets", admin.DeleteConsumerGroupOffset("sa-group", "sa-group", 0))
		Must("delete", admin.DeleteConsumerGroup("sa-group"))
		err = admin.DeleteConsumerGroup("sa-group")
		True(fmt.Sprint("a second deletion is refused: ", err), errors.Is(err, sarama.ErrGroupIDNotFound))
	})

	Done()
}
