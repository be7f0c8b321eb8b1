// What an administrator is asked to do, by Kafka's Admin.

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

final class Operations {
    private final Admin admin;

    Operations(String address) {
        admin = Admin.create(Map.of("bootstrap.servers", address));
    }

    Object run(String operation, Map<String, String> given) throws Exception {
        String topic = given.get("topic");
        String group = given.get("group");
        switch (operation) {
            case "create" ->
                admin.createTopics(List.of(new NewTopic(topic, number(given, "partitions"),
                    (short) 1))).all().get();
            case "topics" -> {
                return new TreeSet<>(admin.listTopics().names().get());
            }
            case "partitions" -> {
                return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic)
                    .partitions().size();
            }
            case "grow" ->
                admin.createPartitions(Map.of(topic,
                    NewPartitions.increaseTo(number(given, "partitions")))).all().get();
            case "delete_topic" -> admin.deleteTopics(List.of(topic)).all().get();
            case "committed" -> {
                return committed(group, topic);
            }
            case "groups" -> {
                return admin.listConsumerGroups().all().get().stream()
                    .map(ConsumerGroupListing::groupId).toList();
            }
            case "group" -> {
                ConsumerGroupDescription found =
                    admin.describeConsumerGroups(List.of(group)).all().get().get(group);
                return List.of(found.state().toString(), found.members().size());
            }
            case "delete_group" -> admin.deleteConsumerGroups(List.of(group)).all().get();
            case "set_offset" ->
                admin.alterConsumerGroupOffsets(group, Map.of(
                    new TopicPartition(topic, number(given, "partition")),
                    new OffsetAndMetadata(number(given, "offset")))).all().get();
            case "delete_offsets" ->
                admin.deleteConsumerGroupOffsets(group,
                    IntStream.range(0, number(given, "partitions"))
                        .mapToObj(partition -> new TopicPartition(topic, partition))
                        .collect(Collectors.toSet())).all().get();
            case "config" -> {
                ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
                return admin.describeConfigs(List.of(resource)).all().get().get(resource)
                    .get(given.get("name")).value();
            }
            case "set_config" ->
                admin.incrementalAlterConfigs(Map.of(
                    new ConfigResource(ConfigResource.Type.TOPIC, topic),
                    List.of(new AlterConfigOp(
                        new ConfigEntry(given.get("name"), given.get("value")),
                        AlterConfigOp.OpType.SET)))).all().get();
            case "delete_records" ->
                admin.deleteRecords(Map.of(
                    new TopicPartition(topic, number(given, "partition")),
                    RecordsToDelete.beforeOffset(number(given, "before")))).all().get();
            default -> throw new IllegalArgumentException(operation);
        }
        return null;
    }

    private Object committed(String group, String topic) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> found =
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        Map<String, Object> offsets = new TreeMap<>();
        found.forEach((part, offset) -> {
            if (part.topic().equals(topic) && offset != null) {
                offsets.put("" + part.partition(), offset.offset());
            }
        });
        return offsets;
    }

    private static int number(Map<String, String> given, String name) {
        return Integer.parseInt(given.get(name));
    }
}
