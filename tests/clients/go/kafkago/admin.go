package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	. "quorate/clients/common"

	"github.com/segmentio/kafka-go"
)

// either is the first error there is: that of the call, or one in its answer.
func either(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (library) Admin() map[string]func(Options) (any, error) {
	admin := &kafka.Client{
		Addr:      kafka.TCP(Address),
		Transport: &kafka.Transport{MetadataTTL: 100 * time.Millisecond},
	}
	return map[string]func(Options) (any, error){
		"create": func(given Options) (any, error) {
			done, err := admin.CreateTopics(background, &kafka.CreateTopicsRequest{
				Topics: []kafka.TopicConfig{{
					Topic: given["topic"], NumPartitions: given.Number("partitions"),
					ReplicationFactor: 1,
				}},
			})
			if err != nil {
				return nil, err
			}
			return nil, done.Errors[given["topic"]]
		},
		"topics": func(Options) (any, error) {
			found, err := admin.Metadata(background, &kafka.MetadataRequest{})
			if err != nil {
				return nil, err
			}
			names := []string{}
			for _, topic := range found.Topics {
				names = append(names, topic.Name)
			}
			return names, nil
		},
		"partitions": func(given Options) (any, error) {
			found, err := admin.Metadata(background, &kafka.MetadataRequest{
				Topics: []string{given["topic"]},
			})
			if err != nil {
				return nil, err
			}
			return len(found.Topics[0].Partitions), found.Topics[0].Error
		},
		"grow": func(given Options) (any, error) {
			done, err := admin.CreatePartitions(background, &kafka.CreatePartitionsRequest{
				Topics: []kafka.TopicPartitionsConfig{{
					Name: given["topic"], Count: int32(given.Number("partitions")),
				}},
			})
			if err != nil {
				return nil, err
			}
			return nil, done.Errors[given["topic"]]
		},
		"delete_topic": func(given Options) (any, error) {
			done, err := admin.DeleteTopics(background, &kafka.DeleteTopicsRequest{
				Topics: []string{given["topic"]},
			})
			if err != nil {
				return nil, err
			}
			return nil, done.Errors[given["topic"]]
		},
		"committed": func(given Options) (any, error) {
			found, err := admin.OffsetFetch(background, &kafka.OffsetFetchRequest{
				GroupID: given["group"],
				Topics:  map[string][]int{given["topic"]: numbers(given)},
			})
			if err != nil {
				return nil, err
			}
			offsets := map[int]int64{}
			for _, part := range found.Topics[given["topic"]] {
				if part.CommittedOffset >= 0 {
					offsets[part.Partition] = part.CommittedOffset
				}
			}
			return offsets, found.Error
		},
		"groups": func(Options) (any, error) {
			found, err := admin.ListGroups(background, &kafka.ListGroupsRequest{})
			if err != nil {
				return nil, err
			}
			names := []string{}
			for _, group := range found.Groups {
				names = append(names, group.GroupID)
			}
			return names, found.Error
		},
		"group": func(given Options) (any, error) {
			found, err := admin.DescribeGroups(background, &kafka.DescribeGroupsRequest{
				GroupIDs: []string{given["group"]},
			})
			if err != nil {
				return nil, err
			}
			group := found.Groups[0]
			return []any{group.GroupState, len(group.Members)}, group.Error
		},
		"delete_group": func(given Options) (any, error) {
			done, err := admin.DeleteGroups(background, &kafka.DeleteGroupsRequest{
				GroupIDs: []string{given["group"]},
			})
			if err != nil {
				return nil, err
			}
			return nil, done.Errors[given["group"]]
		},
		"set_offset": func(given Options) (any, error) {
			done, err := admin.OffsetCommit(background, &kafka.OffsetCommitRequest{
				GroupID: given["group"], GenerationID: -1,
				Topics: map[string][]kafka.OffsetCommit{given["topic"]: {{
					Partition: given.Number("partition"), Offset: int64(given.Number("offset")),
				}}},
			})
			if err != nil {
				return nil, err
			}
			return nil, done.Topics[given["topic"]][0].Error
		},
		"delete_offsets": func(given Options) (any, error) {
			done, err := admin.OffsetDelete(background, &kafka.OffsetDeleteRequest{
				GroupID: given["group"],
				Topics:  map[string][]int{given["topic"]: numbers(given)},
			})
			if err != nil {
				return nil, err
			}
			errs := []error{done.Error}
			for _, part := range slices.Concat(slices.Collect(maps.Values(done.Topics))...) {
				errs = append(errs, part.Error)
			}
			return nil, errors.Join(errs...)
		},
		"config": func(given Options) (any, error) {
			found, err := admin.DescribeConfigs(background, &kafka.DescribeConfigsRequest{
				Resources: []kafka.DescribeConfigRequestResource{{
					ResourceType: kafka.ResourceTypeTopic, ResourceName: given["topic"],
					ConfigNames: []string{given["name"]},
				}},
			})
			if err != nil {
				return nil, err
			}
			for _, entry := range found.Resources[0].ConfigEntries {
				if entry.ConfigName == given["name"] {
					return entry.ConfigValue, nil
				}
			}
			return nil, either(found.Resources[0].Error, fmt.Errorf("there is no %s", given["name"]))
		},
		"set_config": func(given Options) (any, error) {
			done, err := admin.IncrementalAlterConfigs(background,
				&kafka.IncrementalAlterConfigsRequest{
					Resources: []kafka.IncrementalAlterConfigsRequestResource{{
						ResourceType: kafka.ResourceTypeTopic, ResourceName: given["topic"],
						Configs: []kafka.IncrementalAlterConfigsRequestConfig{{
							Name: given["name"], Value: given["value"],
							ConfigOperation: kafka.ConfigOperationSet,
						}},
					}},
				})
			if err != nil {
				return nil, err
			}
			return nil, done.Resources[0].Error
		},
	}
}

func numbers(given Options) []int {
	found := []int{}
	for partition := range given.Number("partitions") {
		found = append(found, partition)
	}
	return found
}
