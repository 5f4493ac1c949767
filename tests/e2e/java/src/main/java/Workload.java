// SPDX-License-Identifier: Apache-2.0

import io.spiffe.bundle.jwtbundle.JwtBundle;
import io.spiffe.bundle.jwtbundle.JwtBundleSet;
import io.spiffe.bundle.x509bundle.X509Bundle;
import io.spiffe.bundle.x509bundle.X509BundleSet;
import io.spiffe.svid.jwtsvid.JwtSvid;
import io.spiffe.svid.x509svid.X509Svid;
import io.spiffe.workloadapi.CachedJwtSource;
import io.spiffe.workloadapi.DefaultJwtSource;
import io.spiffe.workloadapi.DefaultWorkloadApiClient;
import io.spiffe.workloadapi.DefaultX509Source;
import io.spiffe.workloadapi.JwtSource;
import io.spiffe.workloadapi.Watcher;
import io.spiffe.workloadapi.WorkloadApiClient;
import io.spiffe.workloadapi.X509Context;
import io.spiffe.workloadapi.X509Source;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/**
 * A workload that speaks to a Workload API through java-spiffe, as its users do; prints JSON lines, like tests/e2e/go.
 * Usage: fetch | source UPDATES | jwt AUDIENCE... | jwt-cached AUDIENCE | jwt-bundles | jwt-watch UPDATES
 * | validate AUDIENCE TOKEN; the address is in SPIFFE_ENDPOINT_SOCKET.
 */
public final class Workload {
	private static final long WAIT = 70; // seconds for anything

	private Workload() {
	}

	private static String json(Object value) {
		if (value instanceof Map<?, ?> map)
			return map.entrySet().stream().map(e -> json(e.getKey()) + ":" + json(e.getValue()))
					.collect(Collectors.joining(",", "{", "}"));
		if (value instanceof Iterable<?> list) {
			List<String> items = new java.util.ArrayList<>();
			list.forEach(item -> items.add(json(item)));
			return items.stream().collect(Collectors.joining(",", "[", "]"));
		}
		if (value instanceof Number || value instanceof Boolean)
			return value.toString();
		StringBuilder out = new StringBuilder("\"");
		for (char c : String.valueOf(value).toCharArray())
			out.append(c < 0x20 || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
		return out.append('"').toString();
	}

	private static synchronized void emit(String event, Map<String, Object> fields) {
		Map<String, Object> line = new TreeMap<>(fields);
		line.put("event", event);
		line.put("at", System.currentTimeMillis() / 1000.0);
		System.out.println(json(line));
	}

	private static Map<String, Object> fields(X509Svid svid) {
		return Map.of("id", svid.getSpiffeId(), "hint", svid.getHint(), "chain", svid.getChain().size(),
				"serial", svid.getLeaf().getSerialNumber().toString(16),
				"not_after", svid.getLeaf().getNotAfter().getTime() / 1000);
	}

	private static Map<String, Object> fields(JwtSvid svid) {
		return Map.of("id", svid.getSpiffeId(), "hint", svid.getHint(), "aud", new TreeSet<>(svid.getAudience()),
				"expires", svid.getExpiry().getTime() / 1000, "issued", svid.getIssuedAt().getTime() / 1000,
				"token", svid.getToken());
	}

	private static Map<String, Object> bundles(X509BundleSet set) {
		Map<String, Object> all = new TreeMap<>();
		for (X509Bundle bundle : set.getBundles().values())
			all.put(bundle.getTrustDomain().getName(), bundle.getX509Authorities().stream()
					.map(ca -> ca.getSerialNumber().toString(16)).sorted().toList());
		return all;
	}

	private static Map<String, Object> bundles(JwtBundleSet set) {
		Map<String, Object> all = new TreeMap<>();
		for (JwtBundle bundle : set.getBundles().values())
			all.put(bundle.getTrustDomain().getName(), new TreeSet<>(bundle.getJwtAuthorities().keySet()));
		return all;
	}

	private static void fetch() throws Exception {
		try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
			X509Context context = client.fetchX509Context();
			client.fetchX509Bundles();
			emit("fetched", Map.of("svids", context.getX509Svids().stream().map(Workload::fields).toList(),
					"bundles", bundles(context.getX509BundleSet())));
		}
	}

	/** Prints each update that the client's own watch delivers, and counts it. */
	private static final class Updates<T> implements Watcher<T> {
		private final CountDownLatch left;
		private final java.util.function.Function<T, Map<String, Object>> see;

		Updates(int wanted, java.util.function.Function<T, Map<String, Object>> see) {
			this.left = new CountDownLatch(wanted);
			this.see = see;
		}

		@Override
		public void onUpdate(T update) {
			if (left.getCount() > 0)
				emit("update", see.apply(update));
			left.countDown();
		}

		@Override
		public void onError(Throwable error) {
			emit("watch-error", Map.of("text", String.valueOf(error)));
		}

		void await() throws InterruptedException {
			if (!left.await(WAIT, TimeUnit.SECONDS))
				throw new IllegalStateException("updates are missing: " + left.getCount());
		}
	}

	private static void source(int wanted) throws Exception {
		Updates<X509Context> updates = new Updates<>(wanted, context -> Map.of(
				"svids", context.getX509Svids().stream().map(Workload::fields).toList(),
				"bundles", bundles(context.getX509BundleSet())));
		try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient();
				X509Source source = DefaultX509Source.newSource()) {
			client.watchX509Context(updates);
			updates.await();
			long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(2);
			X509Svid last = client.fetchX509Context().getDefaultSvid();
			while (!source.getX509Svid().getLeaf().equals(last.getLeaf()) && System.nanoTime() < end)
				Thread.sleep(20);
			emit("source", Map.of("fresh", source.getX509Svid().getLeaf().equals(last.getLeaf())));
		}
	}

	private static void jwt(String[] audiences) throws Exception {
		String[] more = Arrays.copyOfRange(audiences, 1, audiences.length);
		try (JwtSource source = DefaultJwtSource.newSource()) {
			List<JwtSvid> svids = source.fetchJwtSvids(audiences[0], more);
			for (JwtSvid svid : svids)
				JwtSvid.parseAndValidate(svid.getToken(), source, Collections.singleton(audiences[0]));
			emit("jwt", Map.of("svids", svids.stream().map(Workload::fields).toList()));
		}
	}

	private static void cached(String audience) throws Exception {
		try (JwtSource source = CachedJwtSource.newSource()) {
			JwtSvid first = source.fetchJwtSvid(audience);
			JwtSvid second = source.fetchJwtSvid(audience);
			emit("jwt", Map.of("svids", List.of(fields(first)), "same", first.getToken().equals(second.getToken())));
		}
	}

	private static void jwtBundles() throws Exception {
		try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
			emit("jwt-bundles", Map.of("bundles", bundles(client.fetchJwtBundles())));
		}
	}

	private static void jwtWatch(int wanted) throws Exception {
		Updates<JwtBundleSet> updates = new Updates<>(wanted, set -> Map.of("bundles", bundles(set)));
		try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
			client.watchJwtBundles(updates);
			updates.await();
		}
	}

	private static void validate(String audience, String token) throws Exception {
		try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
			emit("valid", fields(client.validateJwtSvid(token, audience)));
		}
	}

	private static String whole(Throwable error) {
		return error.getCause() == null ? String.valueOf(error) : error + " <- " + whole(error.getCause());
	}

	public static void main(String[] words) {
		java.util.logging.LogManager.getLogManager().reset();
		try {
			switch (words[0]) {
			case "fetch" -> fetch();
			case "source" -> source(Integer.parseInt(words[1]));
			case "jwt" -> jwt(Arrays.copyOfRange(words, 1, words.length));
			case "jwt-cached" -> cached(words[1]);
			case "jwt-bundles" -> jwtBundles();
			case "jwt-watch" -> jwtWatch(Integer.parseInt(words[1]));
			case "validate" -> validate(words[1], words[2]);
			default -> throw new IllegalArgumentException("mode " + words[0]);
			}
		} catch (Exception error) {
			emit("error", Map.of("text", whole(error)));
			System.exit(1);
		}
		System.exit(0);
	}
}
