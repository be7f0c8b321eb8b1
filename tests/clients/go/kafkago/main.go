// What the protocol needs, by kafka-go.
package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	. "quorate/clients/common"

	"github.com/segmentio/kafka-go"
)

var background = context.Background()

type library struct{}

func main() { Run(library{}) }

type producer struct {
	inner *kafka.Writer
	open  sync.WaitGroup
}

func (library) Producer(codec string) Producer {
	codecs := map[string]kafka.Compression{
		"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd,
	}
	producer := &producer{}
	producer.inner = &kafka.Writer{
		Addr:         kafka.TCP(Address),
		RequiredAcks: kafka.RequireAll,
		BatchTimeout: time.Millisecond,
		Async:        true,
		Compression:  codecs[codec],
		Balancer: kafka.BalancerFunc(func(message kafka.Message, _ ...int) int {
			return message.WriterData.(int)
		}),
		Completion: func(messages []kafka.Message, err error) {
			for _, message := range messages {
				Acknowledged(message.Partition, message.Offset, message.Value, err)
				producer.open.Done()
			}
		},
	}
	return producer
}

func (producer *producer) Send(record Record) {
	message := kafka.Message{
		Topic: record.Topic, WriterData: record.Partition, Key: record.Key, Value: record.Value,
	}
	for _, header := range record.Headers {
		message.Headers = append(message.Headers,
			kafka.Header{Key: header.Name, Value: header.Value})
	}
	producer.open.Add(1)
	Check(producer.inner.WriteMessages(background, message))
}

func (producer *producer) Flush() { producer.open.Wait() }

type consumer struct {
	inner      *kafka.ConsumerGroup
	ended      chan struct{}
	lock       sync.Mutex
	generation *kafka.Generation
	topic      string
	told       map[int]int64 // the offsets to commit of this generation, since the last Poll
	polled     map[int]int64 // and until then
}

func (library) Consumer(options Options) Consumer {
	inner, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                options["group"],
		Brokers:           []string{Address},
		Topics:            []string{options["topic"]},
		HeartbeatInterval: 300 * time.Millisecond,
		SessionTimeout:    time.Duration(options.Number("session")) * time.Millisecond,
		JoinGroupBackoff:  500 * time.Millisecond,
		StartOffset:       kafka.FirstOffset,
	})
	Check(err)
	consumer := &consumer{
		inner: inner, ended: make(chan struct{}), topic: options["topic"],
		told: map[int]int64{}, polled: map[int]int64{},
	}
	go consumer.run()
	return consumer
}

func (consumer *consumer) locked(do func()) {
	consumer.lock.Lock()
	defer consumer.lock.Unlock()
	do()
}

func (consumer *consumer) run() {
	defer close(consumer.ended)
	for {
		generation, err := consumer.inner.Next(background)
		if errors.Is(err, kafka.ErrGroupClosed) {
			return
		}
		if err != nil {
			continue // the broker is away, or the group rebalances again: it joins again
		}
		parts := []Part{}
		for topic, assignments := range generation.Assignments {
			slices.SortFunc(assignments, func(a, b kafka.PartitionAssignment) int {
				return a.ID - b.ID
			})
			for _, assignment := range assignments {
				parts = append(parts, Part{topic, assignment.ID})
			}
		}
		consumer.locked(func() {
			consumer.generation = generation
			clear(consumer.told)
			clear(consumer.polled)
			Tell("rebalanced", parts)
			Tell("assigned", parts)
		})
		for topic, assignments := range generation.Assignments {
			for _, assignment := range assignments {
				generation.Start(func(running context.Context) {
					consumer.read(running, topic, assignment)
				})
			}
		}
	}
}

// read goes on until the generation ends.
func (consumer *consumer) read(
	running context.Context, topic string, assignment kafka.PartitionAssignment,
) {
	reader := reader(topic, assignment.ID)
	defer reader.Close()
	Check(reader.SetOffset(assignment.Offset))
	for running.Err() == nil {
		message, err := reader.ReadMessage(running)
		if err != nil {
			continue // the generation has ended, or the broker is away
		}
		consumer.locked(func() {
			tellMessage(message)
			consumer.told[message.Partition] = message.Offset + 1
		})
	}
}

func reader(topic string, partition int) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{Address}, Topic: topic, Partition: partition,
		MaxWait: 100 * time.Millisecond, MinBytes: 1, MaxBytes: 1 << 20,
	})
}

func tellMessage(message kafka.Message) {
	headers := []Header{}
	for _, header := range message.Headers {
		headers = append(headers, Header{Name: header.Key, Value: header.Value})
	}
	TellRecord(message.Partition, message.Offset, message.Value, message.Key, headers)
}

func (consumer *consumer) Poll() map[int]int64 {
	time.Sleep(20 * time.Millisecond) // the records come by themselves
	offsets := map[int]int64{}
	consumer.locked(func() {
		offsets = maps.Clone(consumer.told)
		maps.Copy(consumer.polled, consumer.told)
		clear(consumer.told)
	})
	return offsets
}

func (consumer *consumer) Commit() bool {
	done := false
	consumer.locked(func() {
		if consumer.generation == nil {
			return
		}
		offsets := map[string]map[int]int64{consumer.topic: consumer.polled}
		done = len(consumer.polled) == 0 || consumer.generation.CommitOffsets(offsets) == nil
	})
	return done
}

func (consumer *consumer) Close() {
	Check(consumer.inner.Close())
	<-consumer.ended
}

func (library) ReadAll(topic string, partitions int) {
	for partition := range partitions {
		connection, err := kafka.DialLeader(background, "tcp", Address, topic, partition)
		Check(err)
		first, end, err := connection.ReadOffsets()
		Check(err)
		Check(connection.Close())
		if first == end {
			continue
		}
		reader := reader(topic, partition)
		Check(reader.SetOffset(kafka.FirstOffset))
		for offset := first; offset < end; {
			message, err := reader.ReadMessage(background)
			Check(err)
			tellMessage(message)
			offset = message.Offset + 1
		}
		Check(reader.Close())
	}
}
