// SPDX-License-Identifier: Apache-2.0

import com.azure.core.credential.AccessToken;
import com.azure.core.credential.TokenRequestContext;
import com.azure.identity.DefaultAzureCredential;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.google.api.client.http.GenericUrl;
import com.google.api.client.http.javanet.NetHttpTransport;
import com.google.auth.http.HttpCredentialsAdapter;
import com.google.auth.oauth2.GoogleCredentials;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.sts.StsClient;

/**
 * A workload that uses the SDKs of the three clouds as their manuals say, with nothing of ours: where its credentials are
 * stands in the environment. Prints what it sees as JSON lines; each line `again` on stdin has it do the same once more in
 * the same process, with the same client objects.
 * Usage: aws BUCKET KEY | gcp URL | azure SCOPE URL
 */
public final class Client {
	private Client() {
	}

	private static String json(Object value) {
		if (value instanceof Map<?, ?> map)
			return map.entrySet().stream().map(e -> json(e.getKey()) + ":" + json(e.getValue()))
					.collect(Collectors.joining(",", "{", "}"));
		if (value == null || value instanceof Number)
			return String.valueOf(value);
		StringBuilder out = new StringBuilder("\"");
		for (char c : value.toString().toCharArray())
			out.append(c < 0x20 || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
		return out.append('"').toString();
	}

	private static void emit(String event, Map<String, Object> fields) {
		Map<String, Object> line = new TreeMap<>(fields);
		line.put("event", event);
		line.put("at", System.currentTimeMillis() / 1000.0);
		System.out.println(json(line));
	}

	/** Tells one token from another, and is none. */
	private static String end(String token) {
		return token.substring(Math.max(0, token.length() - 12));
	}

	/** Who the token service says that this is, and an object. One provider for both, as the manual advises. */
	private static Callable<Map<String, Object>> aws(String bucket, String key) {
		DefaultCredentialsProvider provider = DefaultCredentialsProvider.builder().build();
		StsClient sts = StsClient.builder().credentialsProvider(provider).build();
		S3Client s3 = S3Client.builder().credentialsProvider(provider).forcePathStyle(true).build();
		return () -> {
			Map<String, Object> said = new TreeMap<>();
			said.put("arn", sts.getCallerIdentity().arn());
			said.put("body", s3.getObjectAsBytes(r -> r.bucket(bucket).key(key)).asUtf8String());
			AwsCredentials now = provider.resolveCredentials();
			said.put("token", now.accessKeyId());
			said.put("expires", now.expirationTime().map(t -> t.toEpochMilli() / 1000.0).orElse(null));
			return said;
		};
	}

	private static Callable<Map<String, Object>> gcp(String url) throws Exception {
		GoogleCredentials credentials = GoogleCredentials.getApplicationDefault()
				.createScoped("https://www.googleapis.com/auth/cloud-platform");
		var requests = new NetHttpTransport().createRequestFactory(new HttpCredentialsAdapter(credentials));
		return () -> {
			Map<String, Object> said = new TreeMap<>();
			said.put("body", requests.buildGetRequest(new GenericUrl(url)).execute().parseAsString());
			said.put("token", end(credentials.getAccessToken().getTokenValue()));
			said.put("expires", credentials.getAccessToken().getExpirationTime().getTime() / 1000.0);
			return said;
		};
	}

	private static Callable<Map<String, Object>> azure(String scope, String url) {
		// The authority is none that the SDK knows: it would ask a public site about it. With Entra itself that is not needed.
		DefaultAzureCredential credential = new DefaultAzureCredentialBuilder().disableInstanceDiscovery().build();
		HttpClient http = HttpClient.newHttpClient();
		return () -> {
			AccessToken token = credential.getTokenSync(new TokenRequestContext().addScopes(scope));
			HttpRequest get = HttpRequest.newBuilder(URI.create(url)).header("Authorization", "Bearer " + token.getToken()).build();
			HttpResponse<String> answer = http.send(get, HttpResponse.BodyHandlers.ofString());
			if (answer.statusCode() != 200)
				throw new IllegalStateException(answer.statusCode() + " " + answer.body());
			Map<String, Object> said = new TreeMap<>();
			said.put("body", answer.body());
			said.put("token", end(token.getToken()));
			said.put("expires", token.getExpiresAt().toInstant().toEpochMilli() / 1000.0);
			return said;
		};
	}

	private static int once(Callable<Map<String, Object>> act) {
		try {
			emit("done", act.call());
			return 0;
		} catch (Exception e) {
			StringBuilder all = new StringBuilder();
			for (Throwable t = e; t != null; t = t.getCause())
				all.append(t).append("; ");
			emit("refused", Map.of("name", e.getClass().getName(), "message", all));
			return 1;
		}
	}

	public static void main(String[] args) throws Exception {
		Callable<Map<String, Object>> act;
		try {
			act = switch (args[0]) {
				case "aws" -> aws(args[1], args[2]);
				case "gcp" -> gcp(args[1]);
				case "azure" -> azure(args[1], args[2]);
				default -> throw new IllegalArgumentException(args[0]);
			};
		} catch (Exception e) {
			act = () -> {
				throw e;
			};
		}
		int code = once(act);
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		for (String line = in.readLine(); line != null; line = in.readLine())
			if (line.equals("again"))
				code = once(act);
		System.exit(code);
	}
}
