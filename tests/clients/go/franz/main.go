// What the protocol needs, by franz-go.
package main

import (
	"context"
	"errors"
	"slices"
	"time"

	. "quorate/clients/common"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var background = context.Background()

type library struct{}

func main() { Run(library{}) }

func client(options ...kgo.Opt) *kgo.Client {
	options = append(options, kgo.SeedBrokers(Address), kgo.MetadataMinAge(100*time.Millisecond))
	client, err := kgo.NewClient(options...)
	Check(err)
	return client
}

type producer struct{ inner *kgo.Client }

func (library) Producer(codec string) Producer {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(),
		"zstd": kgo.ZstdCompression(),
	}
	return producer{client(
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codecs[codec]),
	)}
}

func (producer producer) Send(record Record) {
	sent := &kgo.Record{
		Topic: record.Topic, Partition: int32(record.Partition),
		Key: record.Key, Value: record.Value,
	}
	for _, header := range record.Headers {
		sent.Headers = append(sent.Headers, kgo.RecordHeader{Key: header.Name, Value: header.Value})
	}
	producer.inner.Produce(background, sent, func(sent *kgo.Record, err error) {
		Acknowledged(int(sent.Partition), sent.Offset, sent.Value, err)
	})
}

func (producer producer) Flush() { Check(producer.inner.Flush(background)) }

type consumer struct {
	inner    *kgo.Client
	assigned map[string][]int32
}

func (library) Consumer(options Options) Consumer {
	consumer := &consumer{assigned: map[string][]int32{}}
	given := []kgo.Opt{
		kgo.ConsumerGroup(options["group"]),
		kgo.ConsumeTopics(options["topic"]),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(time.Duration(options.Number("session")) * time.Millisecond),
		kgo.HeartbeatInterval(300 * time.Millisecond),
		kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.BlockRebalanceOnPoll(), // so that what was polled is told and committed by the owner
		kgo.OnPartitionsAssigned(consumer.onAssigned),
		kgo.OnPartitionsRevoked(consumer.onRevoked),
		kgo.OnPartitionsLost(consumer.onRevoked),
		kgo.Balancers(kgo.RangeBalancer()),
	}
	if options["assignor"] == "cooperative" {
		given = append(given, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	}
	if options["instance"] != "" {
		given = append(given, kgo.InstanceID(options["instance"]))
	}
	if options["pattern"] != "" {
		given = append(given, kgo.ConsumeRegex(), kgo.MetadataMaxAge(time.Second))
	}
	consumer.inner = client(given...)
	return consumer
}

func (consumer *consumer) onAssigned(
	_ context.Context, _ *kgo.Client, added map[string][]int32,
) {
	Tell("rebalanced", parts(added))
	for topic, partitions := range added {
		consumer.assigned[topic] = append(consumer.assigned[topic], partitions...)
	}
	Tell("assigned", parts(consumer.assigned))
}

func (consumer *consumer) onRevoked(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	if len(lost) == 0 {
		return
	}
	Tell("revoked", parts(lost))
	for topic, partitions := range lost {
		consumer.assigned[topic] = slices.DeleteFunc(consumer.assigned[topic],
			func(partition int32) bool { return slices.Contains(partitions, partition) })
	}
	Tell("assigned", parts(consumer.assigned))
}

func parts(of map[string][]int32) []Part {
	found := []Part{}
	topics := []string{}
	for topic := range of {
		topics = append(topics, topic)
	}
	slices.Sort(topics)
	for _, topic := range topics {
		for _, partition := range slices.Sorted(slices.Values(of[topic])) {
			found = append(found, Part{topic, partition})
		}
	}
	return found
}

func (consumer *consumer) Poll() map[int]int64 {
	consumer.inner.AllowRebalance()
	limited, cancel := context.WithTimeout(background, 100*time.Millisecond)
	defer cancel()
	offsets := map[int]int64{}
	consumer.inner.PollFetches(limited).EachRecord(func(record *kgo.Record) {
		tellRecord(record)
		offsets[int(record.Partition)] = record.Offset + 1
	})
	return offsets
}

func tellRecord(record *kgo.Record) {
	headers := []Header{}
	for _, header := range record.Headers {
		headers = append(headers, Header{Name: header.Key, Value: header.Value})
	}
	TellRecord(int(record.Partition), record.Offset, record.Value, record.Key, headers)
}

func (consumer *consumer) Commit() bool {
	err := consumer.inner.CommitUncommittedOffsets(background)
	if errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.IllegalGeneration) {
		return false
	}
	Check(err)
	return true
}

func (consumer *consumer) Close() {
	consumer.inner.AllowRebalance()
	consumer.inner.Close()
}

func (library) ReadAll(topic string, partitions int) {
	admin := kadm.NewClient(client())
	ends, err := admin.ListEndOffsets(background, topic)
	Check(err)
	starts, err := admin.ListStartOffsets(background, topic)
	Check(err)
	from, rest := map[int32]kgo.Offset{}, map[int32]int64{}
	for partition := range int32(partitions) {
		end, _ := ends.Lookup(topic, partition)
		start, _ := starts.Lookup(topic, partition)
		if start.Offset < end.Offset {
			from[partition], rest[partition] = kgo.NewOffset().AtStart(), end.Offset
		}
	}
	if len(rest) == 0 {
		return
	}
	reader := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	for len(rest) > 0 {
		reader.PollFetches(background).EachRecord(func(record *kgo.Record) {
			tellRecord(record)
			if record.Offset+1 >= rest[record.Partition] {
				delete(rest, record.Partition)
			}
		})
	}
	reader.Close()
}
