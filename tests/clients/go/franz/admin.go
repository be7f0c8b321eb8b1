package main

import (
	. "quorate/clients/common"

	"github.com/twmb/franz-go/pkg/kadm"
)

func (library) Admin() map[string]func(Options) (any, error) {
	admin := kadm.NewClient(client())
	return map[string]func(Options) (any, error){
		"create": func(given Options) (any, error) {
			partitions := int32(given.Number("partitions"))
			_, err := admin.CreateTopic(background, partitions, 1, nil, given["topic"])
			return nil, err
		},
		"topics": func(Options) (any, error) {
			topics, err := admin.ListTopics(background)
			return topics.Names(), err
		},
		"partitions": func(given Options) (any, error) {
			topics, err := admin.ListTopics(background, given["topic"])
			return len(topics[given["topic"]].Partitions), err
		},
		"grow": func(given Options) (any, error) {
			done, err := admin.UpdatePartitions(
				background, given.Number("partitions"), given["topic"])
			if err == nil {
				err = done.Error()
			}
			return nil, err
		},
		"delete_topic": func(given Options) (any, error) {
			_, err := admin.DeleteTopic(background, given["topic"])
			return nil, err
		},
		"committed": func(given Options) (any, error) {
			offsets, err := admin.FetchOffsets(background, given["group"])
			found := map[int32]int64{}
			for partition, offset := range offsets[given["topic"]] {
				found[partition] = offset.At
			}
			return found, err
		},
		"groups": func(Options) (any, error) {
			groups, err := admin.ListGroups(background)
			return groups.Groups(), err
		},
		"group": func(given Options) (any, error) {
			groups, err := admin.DescribeGroups(background, given["group"])
			group := groups[given["group"]]
			return []any{group.State, len(group.Members)}, err
		},
		"delete_group": func(given Options) (any, error) {
			_, err := admin.DeleteGroup(background, given["group"])
			return nil, err
		},
		"set_offset": func(given Options) (any, error) {
			offsets := kadm.Offsets{}
			offsets.AddOffset(given["topic"], int32(given.Number("partition")),
				int64(given.Number("offset")), -1)
			return nil, admin.CommitAllOffsets(background, given["group"], offsets)
		},
		"delete_offsets": func(given Options) (any, error) {
			parts := kadm.TopicsSet{}
			for partition := range given.Number("partitions") {
				parts.Add(given["topic"], int32(partition))
			}
			done, err := admin.DeleteOffsets(background, given["group"], parts)
			if err == nil {
				err = done.Error()
			}
			return nil, err
		},
		"config": func(given Options) (any, error) {
			configs, err := admin.DescribeTopicConfigs(background, given["topic"])
			if err != nil {
				return nil, err
			}
			for _, config := range configs[0].Configs {
				if config.Key == given["name"] {
					return config.MaybeValue(), nil
				}
			}
			return nil, configs[0].Err
		},
		"set_config": func(given Options) (any, error) {
			value := given["value"]
			done, err := admin.AlterTopicConfigs(background, []kadm.AlterConfig{
				{Op: kadm.SetConfig, Name: given["name"], Value: &value},
			}, given["topic"])
			if err == nil {
				err = done[0].Err
			}
			return nil, err
		},
		"delete_records": func(given Options) (any, error) {
			offsets := kadm.Offsets{}
			offsets.AddOffset(given["topic"], int32(given.Number("partition")),
				int64(given.Number("before")), -1)
			done, err := admin.DeleteRecords(background, offsets)
			if err == nil {
				err = done.Error()
			}
			return nil, err
		},
	}
}
