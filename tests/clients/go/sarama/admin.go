package main

import (
	"errors"
	"fmt"

	. "quorate/clients/common"

	"github.com/IBM/sarama"
)

func (library) Admin() map[string]func(Options) (any, error) {
	admin, err := sarama.NewClusterAdmin(addresses(), config())
	Check(err)
	return map[string]func(Options) (any, error){
		"create": func(given Options) (any, error) {
			return nil, admin.CreateTopic(given["topic"], &sarama.TopicDetail{
				NumPartitions: int32(given.Number("partitions")), ReplicationFactor: 1,
			}, false)
		},
		"topics": func(Options) (any, error) {
			topics, err := admin.ListTopics()
			names := []string{}
			for name := range topics {
				names = append(names, name)
			}
			return names, err
		},
		"partitions": func(given Options) (any, error) {
			topics, err := admin.DescribeTopics([]string{given["topic"]})
			if err != nil {
				return nil, err
			}
			return len(topics[0].Partitions), nil
		},
		"grow": func(given Options) (any, error) {
			count := int32(given.Number("partitions"))
			return nil, admin.CreatePartitions(given["topic"], count, nil, false)
		},
		"delete_topic": func(given Options) (any, error) {
			return nil, admin.DeleteTopic(given["topic"])
		},
		"committed": func(given Options) (any, error) {
			offsets, err := admin.ListConsumerGroupOffsets(given["group"], nil)
			if err != nil {
				return nil, err
			}
			if !errors.Is(offsets.Err, sarama.ErrNoError) {
				return nil, offsets.Err
			}
			found := map[int32]int64{}
			for partition, block := range offsets.Blocks[given["topic"]] {
				found[partition] = block.Offset
			}
			return found, nil
		},
		"groups": func(Options) (any, error) {
			groups, err := admin.ListConsumerGroups()
			names := []string{}
			for name := range groups {
				names = append(names, name)
			}
			return names, err
		},
		"group": func(given Options) (any, error) {
			groups, err := admin.DescribeConsumerGroups([]string{given["group"]})
			if err != nil {
				return nil, err
			}
			return []any{groups[0].State, len(groups[0].Members)}, nil
		},
		"delete_group": func(given Options) (any, error) {
			return nil, admin.DeleteConsumerGroup(given["group"])
		},
		"set_offset": func(given Options) (any, error) {
			partition := int32(given.Number("partition"))
			done, err := admin.AlterConsumerGroupOffsets(given["group"],
				map[string]map[int32]sarama.OffsetAndMetadata{given["topic"]: {
					partition: {Offset: int64(given.Number("offset")), LeaderEpoch: -1},
				}}, nil)
			if err != nil {
				return nil, err
			}
			if failed := done.Errors[given["topic"]][partition]; failed != sarama.ErrNoError {
				return nil, failed
			}
			return nil, nil
		},
		"delete_offsets": func(given Options) (any, error) {
			for partition := range int32(given.Number("partitions")) {
				err := admin.DeleteConsumerGroupOffset(given["group"], given["topic"], partition)
				if err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
		"config": func(given Options) (any, error) {
			entries, err := admin.DescribeConfig(sarama.ConfigResource{
				Type: sarama.TopicResource, Name: given["topic"],
				ConfigNames: []string{given["name"]},
			})
			if err != nil || len(entries) != 1 {
				return nil, fmt.Errorf("%d entries, error %w", len(entries), err)
			}
			return entries[0].Value, nil
		},
		"set_config": func(given Options) (any, error) {
			value := given["value"]
			return nil, admin.IncrementalAlterConfig(sarama.TopicResource, given["topic"],
				map[string]sarama.IncrementalAlterConfigsEntry{given["name"]: {
					Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value,
				}}, false)
		},
		"delete_records": func(given Options) (any, error) {
			return nil, admin.DeleteRecords(given["topic"], map[int32]int64{
				int32(given.Number("partition")): int64(given.Number("before")),
			})
		},
	}
}
