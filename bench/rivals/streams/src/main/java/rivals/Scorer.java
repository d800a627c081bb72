package rivals;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtSession;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;

/**
 * A scoring service as a good Java team writes it: Kafka Streams, Jackson and ONNX Runtime, at least once, one thread.
 *
 * <pre>Scorer BROKERS INPUT OUTPUT MODEL.onnx [NAME=VALUE]...   properties of Kafka Streams on top of its defaults</pre>
 */
public final class Scorer {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final ZoneId BERLIN = ZoneId.of("Europe/Berlin");
    private static final Map<String, Double> MCC_RISK =
        Map.of("5411", 0.002, "5732", 0.02, "5812", 0.001, "5816", 0.03, "6011", 0.01, "7995", 0.05);
    private static final Map<String, Double> COUNTRY_RISK =
        Map.of("DE", 0.004, "FR", 0.005, "GB", 0.006, "ES", 0.008, "IT", 0.007, "NL", 0.004, "US", 0.01);

    private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
    private final OrtSession session;

    private Scorer(String model) throws Exception {
        OrtSession.SessionOptions options = new OrtSession.SessionOptions();
        options.setIntraOpNumThreads(1);
        session = environment.createSession(model, options);
    }

    /** The fifteen features of the benchmark's bundle, in its order. */
    private static float[] features(JsonNode tx) {
        double amount = tx.path("amount").asDouble(Double.NaN);
        double distance = tx.path("distance").asDouble(Double.NaN);
        String channel = tx.path("channel").asText("");
        Instant instant = Instant.ofEpochSecond(tx.path("ts").asLong());
        ZonedDateTime at = instant.atZone(ZoneOffset.UTC);
        double risk = COUNTRY_RISK.getOrDefault(tx.path("country").asText(""), 0.02);
        return new float[] {
            (float) amount, (float) Math.log1p(amount), amount < 5 ? 1 : 0, at.getHour(), instant.atZone(BERLIN).getHour(),
            at.getHour() <= 5 ? 1 : 0, at.getDayOfWeek().getValue() >= 6 ? 1 : 0, "EUR".equals(tx.path("currency").asText()) ? 1 : 0,
            MCC_RISK.getOrDefault(tx.path("mcc").asText(""), 0.005).floatValue(), (float) risk, "pos".equals(channel) ? 1 : 0,
            "web".equals(channel) ? 1 : 0, "atm".equals(channel) ? 1 : 0, (float) Math.log1p(distance),
            (float) (Math.min(Math.max(amount / 100, 0), 20) * risk)};
    }

    private float run(float[] features) throws Exception {
        try (OnnxTensor row = OnnxTensor.createTensor(environment, new float[][] {features});
             OrtSession.Result result = session.run(Map.of("row", row))) {
            return ((float[][]) result.get(0).getValue())[0][0];
        }
    }

    private byte[] score(byte[] value) {
        try {
            JsonNode tx = JSON.readTree(value);
            float score = run(features(tx));
            ObjectNode answer = JSON.createObjectNode();
            answer.set("transaction_id", tx.get("tx_id"));
            answer.put("score", score).put("decision", score >= 0.9 ? "decline" : score >= 0.5 ? "review" : "approve");
            answer.put("model", "bench-card").put("version", "100x6-1");
            return JSON.writeValueAsBytes(answer);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    public static void main(String[] args) throws Exception {
        Scorer scorer = new Scorer(args[3]);
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, "streams-" + args[1]);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir") + "/streams-" + args[1]);
        for (int i = 4; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            properties.put(pair[0], pair[1]);
        }
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(args[1], org.apache.kafka.streams.kstream.Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .mapValues(scorer::score)
            .to(args[2], org.apache.kafka.streams.kstream.Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
        KafkaStreams streams = new KafkaStreams(builder.build(), properties);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
