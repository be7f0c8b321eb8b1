// What the protocol needs, by sarama.
package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	. "quorate/clients/common"

	"github.com/IBM/sarama"
)

type library struct{}

func main() { Run(library{}) }

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	return config
}

func addresses() []string { return []string{Address} }

type producer struct {
	inner sarama.AsyncProducer
	open  sync.WaitGroup
}

func (library) Producer(codec string) Producer {
	config := config()
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1 // sarama wants it so for idempotence
	config.Producer.Return.Successes = true
	Check(config.Producer.Compression.UnmarshalText([]byte(codec)))
	inner, err := sarama.NewAsyncProducer(addresses(), config)
	Check(err)
	producer := &producer{inner: inner}
	go func() {
		for sent := range inner.Successes() {
			producer.done(sent, nil)
		}
	}()
	go func() {
		for failed := range inner.Errors() {
			producer.done(failed.Msg, failed.Err)
		}
	}()
	return producer
}

func (producer *producer) done(sent *sarama.ProducerMessage, err error) {
	var value []byte
	if sent.Value != nil {
		value, _ = sent.Value.Encode()
	}
	Acknowledged(int(sent.Partition), sent.Offset, value, err)
	producer.open.Done()
}

func (producer *producer) Send(record Record) {
	sent := &sarama.ProducerMessage{Topic: record.Topic, Partition: int32(record.Partition)}
	if record.Key != nil {
		sent.Key = sarama.ByteEncoder(record.Key)
	}
	if record.Value != nil {
		sent.Value = sarama.ByteEncoder(record.Value)
	}
	for _, header := range record.Headers {
		sent.Headers = append(sent.Headers,
			sarama.RecordHeader{Key: []byte(header.Name), Value: header.Value})
	}
	producer.open.Add(1)
	producer.inner.Input() <- sent
}

func (producer *producer) Flush() { producer.open.Wait() }

type consumer struct {
	inner   sarama.ConsumerGroup
	stop    context.CancelFunc
	ended   chan struct{}
	lock    sync.Mutex
	session sarama.ConsumerGroupSession
	told    map[Part]int64 // the offsets to commit of what is owned, since the last Poll
	polled  map[Part]int64 // and until then
	owned   []Part
	group   string
	admin   sarama.ClusterAdmin
}

func (library) Consumer(options Options) Consumer {
	config := config()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	session := time.Duration(options.Number("session")) * time.Millisecond
	config.Consumer.Group.Session.Timeout = session
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	config.Metadata.Retry.Max = 40 // else its session ends if the broker is away for a second
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	config.Consumer.Group.InstanceId = options["instance"]
	if options["assignor"] == "cooperative" {
		config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{
			sarama.NewBalanceStrategyCooperativeSticky(),
		}
	}
	inner, err := sarama.NewConsumerGroup(addresses(), options["group"], config)
	Check(err)
	running, stop := context.WithCancel(context.Background())
	admin, err := sarama.NewClusterAdmin(addresses(), config)
	Check(err)
	consumer := &consumer{
		inner: inner, stop: stop, ended: make(chan struct{}), group: options["group"],
		told: map[Part]int64{}, polled: map[Part]int64{}, admin: admin,
	}
	go func() {
		defer close(consumer.ended)
		for running.Err() == nil {
			// It ends with an error when the broker is away: to go on is up to its user.
			_ = inner.Consume(running, []string{options["topic"]}, consumer)
		}
	}()
	return consumer
}

func (consumer *consumer) locked(do func()) {
	consumer.lock.Lock()
	defer consumer.lock.Unlock()
	do()
}

// Setup is called once a session: with an eager strategy, at each rebalance.
func (consumer *consumer) Setup(session sarama.ConsumerGroupSession) error {
	consumer.locked(func() {
		consumer.session = session
		Tell("rebalanced", session.Claims())
		if len(session.Claims()) == 0 {
			Tell("assigned", []Part{})
		}
	})
	return nil
}

func (consumer *consumer) Cleanup(sarama.ConsumerGroupSession) error {
	consumer.locked(func() { consumer.session = nil })
	return nil
}

// ConsumeClaim begins with a partition and ends with it: what is owned is known by that.
func (consumer *consumer) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	part := Part{claim.Topic(), int(claim.Partition())}
	consumer.locked(func() {
		consumer.owned = append(consumer.owned, part)
		consumer.tellOwned()
	})
	for message := range claim.Messages() {
		consumer.locked(func() {
			tellMessage(message)
			consumer.told[part] = message.Offset + 1
		})
	}
	consumer.locked(func() {
		consumer.owned = slices.DeleteFunc(consumer.owned, func(p Part) bool { return p == part })
		delete(consumer.told, part)
		delete(consumer.polled, part)
		Tell("revoked", []Part{part})
		consumer.tellOwned()
	})
	return nil
}

func (consumer *consumer) tellOwned() {
	owned := slices.SortedFunc(slices.Values(consumer.owned), func(a, b Part) int {
		if a[0] != b[0] {
			return strings.Compare(a[0].(string), b[0].(string))
		}
		return a[1].(int) - b[1].(int)
	})
	if owned == nil {
		owned = []Part{}
	}
	Tell("assigned", owned)
}

func tellMessage(message *sarama.ConsumerMessage) {
	headers := []Header{}
	for _, header := range message.Headers {
		headers = append(headers, Header{Name: string(header.Key), Value: header.Value})
	}
	TellRecord(int(message.Partition), message.Offset, message.Value, message.Key, headers)
}

func (consumer *consumer) Poll() map[int]int64 {
	time.Sleep(20 * time.Millisecond) // the records come by themselves
	offsets := map[int]int64{}
	consumer.locked(func() {
		for part, offset := range consumer.told {
			offsets[part[1].(int)] = offset
			consumer.polled[part] = offset
		}
		clear(consumer.told)
	})
	return offsets
}

// Commit asks what is committed: sarama does not say whether a commit has succeeded.
func (consumer *consumer) Commit() bool {
	session, polled := sarama.ConsumerGroupSession(nil), map[Part]int64{}
	consumer.locked(func() { session, polled = consumer.session, maps.Clone(consumer.polled) })
	if session == nil {
		return false
	}
	for part, offset := range polled {
		session.MarkOffset(part[0].(string), int32(part[1].(int)), offset, "")
	}
	session.Commit()
	found, err := consumer.admin.ListConsumerGroupOffsets(consumer.group, nil)
	if err != nil {
		return false
	}
	for part, offset := range polled {
		block := found.GetBlock(part[0].(string), int32(part[1].(int)))
		if block == nil || block.Offset != offset {
			return false
		}
	}
	return true
}

func (consumer *consumer) Close() {
	consumer.stop()
	<-consumer.ended
	Check(consumer.inner.Close())
}

func (library) ReadAll(topic string, partitions int) {
	client, err := sarama.NewClient(addresses(), config())
	Check(err)
	reader, err := sarama.NewConsumerFromClient(client)
	Check(err)
	for partition := range int32(partitions) {
		end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
		Check(err)
		start, err := client.GetOffset(topic, partition, sarama.OffsetOldest)
		Check(err)
		if start == end {
			continue
		}
		part, err := reader.ConsumePartition(topic, partition, sarama.OffsetOldest)
		Check(err)
		for message := range part.Messages() {
			tellMessage(message)
			if message.Offset+1 >= end {
				break
			}
		}
		if err := part.Close(); err != nil && !errors.Is(err, sarama.ErrClosedClient) {
			Check(err)
		}
	}
}
