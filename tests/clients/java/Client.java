// Apache Kafka's own client, driven from outside: the commands are those of client.py.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Client {
    static String address;

    public static void main(String[] arguments) throws Exception {
        address = arguments[0];
        List<String> records = new ArrayList<>();
        Map<String, String> options = options(arguments, 2, records);
        switch (arguments[1]) {
            case "admin" -> admin();
            case "produce" -> produce(options);
            case "write" -> write(options.get("topic"), records);
            case "member" -> member(options);
            case "load" -> load(options);
            case "read" -> read(options);
            default -> throw new IllegalArgumentException(arguments[1]);
        }
        // Without waiting for threads that a closed client may have left.
        System.exit(0);
    }

    /** The KEY=VALUE arguments from one on; those of `record` may be many and are kept apart. */
    static Map<String, String> options(String[] arguments, int from, List<String> records) {
        Map<String, String> options = new HashMap<>();
        for (String argument : Arrays.copyOfRange(arguments, from, arguments.length)) {
            String[] pair = argument.split("=", 2);
            if (pair[0].equals("record")) {
                records.add(pair[1]);
            } else {
                options.put(pair[0], pair[1]);
            }
        }
        return options;
    }

    static void tell(String kind, Object value) {
        String line = "{" + Json.of(kind) + ": " + Json.of(value) + "}";
        synchronized (Client.class) {
            System.out.println(line);
            System.out.flush();
        }
    }

    static Properties properties(Object... pairs) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", address);
        for (int i = 0; i < pairs.length; i += 2) {
            properties.put(pairs[i], pairs[i + 1]);
        }
        return properties;
    }

    static void admin() throws Exception {
        Operations operations = new Operations(address);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = input.readLine()) != null; ) {
            String[] words = line.split(" ");
            try {
                tell("answer", operations.run(words[0], options(words, 1, new ArrayList<>())));
            } catch (Exception error) {
                tell("refused", error.toString());
            }
        }
    }

    static KafkaProducer<String, String> producer(String codec) {
        StringSerializer strings = new StringSerializer();
        return new KafkaProducer<>(
            properties("linger.ms", 1, "compression.type", codec), strings, strings);
    }

    static void send(
            KafkaProducer<String, String> producer, ProducerRecord<String, String> record) {
        producer.send(record, (done, error) -> {
            if (error == null) {
                tell("acknowledged",
                    Arrays.asList(done.partition(), done.offset(), record.value()));
            } else {
                tell("refused", Arrays.asList(record.value(), error.toString()));
            }
        });
    }

    static void produce(Map<String, String> options) {
        KafkaProducer<String, String> producer = producer(options.get("codec"));
        int partitions = Integer.parseInt(options.get("partitions"));
        int to = Integer.parseInt(options.get("to"));
        for (int number = Integer.parseInt(options.get("from")); number < to; number++) {
            int partition = number % partitions;
            String value = partition + "-" + number;
            send(producer, new ProducerRecord<>(options.get("topic"), partition, null, value));
        }
        producer.flush();
        tell("flushed", true);
    }

    static void write(String topic, List<String> records) {
        KafkaProducer<String, String> producer = producer("none");
        for (String record : records) {
            String[] fields = record.split(";", -1);
            List<Header> headers = new ArrayList<>();
            for (String header : fields[2].isEmpty() ? new String[0] : fields[2].split(",")) {
                String[] pair = header.split(":", -1);
                byte[] value = pair[1].equals("~") ? null : pair[1].getBytes();
                headers.add(new RecordHeader(pair[0], value));
            }
            String key = fields[0].equals("~") ? null : fields[0];
            String value = fields[1].equals("~") ? null : fields[1];
            send(producer, new ProducerRecord<>(topic, 0, key, value, headers));
        }
        producer.flush();
        tell("flushed", true);
    }

    static KafkaConsumer<String, String> consumer(Properties properties) {
        properties.put("enable.auto.commit", false);
        properties.put("auto.offset.reset", "earliest");
        StringDeserializer strings = new StringDeserializer();
        return new KafkaConsumer<>(properties, strings, strings);
    }

    static KafkaConsumer<String, String> subscribed(Map<String, String> options) {
        Properties properties = properties(
            "group.id", options.get("group"), "fetch.max.wait.ms", 100);
        if (options.getOrDefault("protocol", "classic").equals("classic")) {
            properties.put("session.timeout.ms", options.getOrDefault("session", "6000"));
            properties.put("heartbeat.interval.ms", 300);
        } else {
            properties.put("group.protocol", options.get("protocol"));
        }
        if (options.containsKey("instance")) {
            properties.put("group.instance.id", options.get("instance"));
        }
        if (options.containsKey("assignor")) {
            properties.put(
                "partition.assignment.strategy", CooperativeStickyAssignor.class.getName());
        }
        if (options.containsKey("pattern")) {
            properties.put("metadata.max.age.ms", 1000);
        }
        KafkaConsumer<String, String> consumer = consumer(properties);
        ConsumerRebalanceListener listener = new Listener(consumer);
        if (options.containsKey("pattern")) {
            consumer.subscribe(Pattern.compile(options.get("topic")), listener);
        } else {
            consumer.subscribe(List.of(options.get("topic")), listener);
        }
        return consumer;
    }

    /** Tells what is assigned at each call, so that the calls are counted. */
    record Listener(KafkaConsumer<String, String> consumer) implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
            tell("rebalanced", parts(assigned));
            tell("assigned", parts(consumer.assignment()));
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
            tell("revoked", parts(revoked));
        }
    }

    static List<List<Object>> parts(Collection<TopicPartition> parts) {
        return parts.stream()
            .sorted((a, b) -> a.topic().equals(b.topic())
                ? a.partition() - b.partition() : a.topic().compareTo(b.topic()))
            .map(part -> List.<Object>of(part.topic(), part.partition()))
            .toList();
    }

    static void member(Map<String, String> options) throws Exception {
        LinkedBlockingQueue<String> orders = orders();
        KafkaConsumer<String, String> consumer = subscribed(options);
        while (true) {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                tell("record", whole(record));
            }
            String order = orders.peek();
            if ("commit".equals(order) && commit(consumer)) {
                orders.remove();
                tell("committed", true);
            } else if ("close".equals(order)) {
                consumer.close();
                tell("closed", true);
                return;
            }
        }
    }

    static LinkedBlockingQueue<String> orders() {
        LinkedBlockingQueue<String> orders = new LinkedBlockingQueue<>();
        Thread thread = new Thread(() -> {
            BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
            input.lines().forEach(orders::add);
            Runtime.getRuntime().halt(0); // whoever started this program is gone
        });
        thread.setDaemon(true);
        thread.start();
        return orders;
    }

    /** False: the group rebalances, so that it is to be tried again after a poll. */
    static boolean commit(KafkaConsumer<String, String> consumer) {
        try {
            consumer.commitSync();
            return true;
        } catch (RebalanceInProgressException | CommitFailedException error) {
            return false;
        }
    }

    static List<Object> whole(ConsumerRecord<String, String> record) {
        List<Object> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            String value = header.value() == null ? null : new String(header.value());
            headers.add(Arrays.asList(header.key(), value));
        }
        return Arrays.asList(
            record.partition(), record.offset(), record.value(), record.key(), headers);
    }

    static void load(Map<String, String> options) {
        int partitions = Integer.parseInt(options.get("partitions"));
        Thread thread = new Thread(() -> produceForEver(options.get("topic"), partitions));
        thread.setDaemon(true);
        thread.start();
        KafkaConsumer<String, String> consumer = subscribed(options);
        Map<String, Object> read = new TreeMap<>();
        while (true) {
            boolean any = false;
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                read.put("" + record.partition(), record.offset() + 1);
                any = true;
            }
            if (any) {
                tell("commits", read);
                if (commit(consumer)) {
                    tell("committed", read);
                }
            }
        }
    }

    static void produceForEver(String topic, int partitions) {
        KafkaProducer<String, String> producer = producer("none");
        for (long number = System.currentTimeMillis(); ; number++) {
            for (int partition = 0; partition < partitions; partition++) {
                String value = partition + "-" + number;
                send(producer, new ProducerRecord<>(topic, partition, null, value));
            }
            try {
                Thread.sleep(5); // a bound on how much there is to check afterwards
            } catch (InterruptedException error) {
                return;
            }
        }
    }

    static void read(Map<String, String> options) {
        KafkaConsumer<String, String> consumer = consumer(properties());
        List<TopicPartition> parts =
            IntStream.range(0, Integer.parseInt(options.get("partitions")))
                .mapToObj(partition -> new TopicPartition(options.get("topic"), partition))
                .toList();
        consumer.assign(parts);
        consumer.seekToBeginning(parts);
        Map<TopicPartition, Long> ends = consumer.endOffsets(parts);
        while (parts.stream().anyMatch(part -> consumer.position(part) < ends.get(part))) {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                tell("record", whole(record));
            }
        }
        consumer.close();
    }
}
