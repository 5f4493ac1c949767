// SPDX-License-Identifier: Apache-2.0

// sdk-node: a workload that uses the SDKs of the three clouds as their manuals say, with nothing of ours: where its
// credentials are stands in the environment. Prints what it sees as JSON lines; each line `again` on stdin has it do
// the same once more in the same process, with the same client objects.
// Usage: client.js aws BUCKET KEY | gcp URL | azure SCOPE URL | read FILE
'use strict';

const fs = require('fs');
const readline = require('readline');

function emit(event, fields) {
	console.log(JSON.stringify({ event, at: Date.now() / 1000, ...fields }));
}

// Who the token service says that this is, and an object.
function aws(bucket, key) {
	const { STSClient, GetCallerIdentityCommand } = require('@aws-sdk/client-sts');
	const { S3Client, GetObjectCommand } = require('@aws-sdk/client-s3');
	const sts = new STSClient({});
	// One provider chain for both: each client has one of its own otherwise.
	const s3 = new S3Client({ credentials: sts.config.credentials, forcePathStyle: true });
	return async () => {
		const { Arn: arn } = await sts.send(new GetCallerIdentityCommand({}));
		const object = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
		const { accessKeyId: key_id, expiration } = await sts.config.credentials();
		return { arn, token: key_id, expires: expiration ? expiration.getTime() / 1000 : null, body: await object.Body.transformToString() };
	};
}

function gcp(url) {
	const { GoogleAuth } = require('google-auth-library');
	const auth = new GoogleAuth({ scopes: ['https://www.googleapis.com/auth/cloud-platform'] });
	return async () => {
		const client = await auth.getClient();
		const answer = await client.request({ url, responseType: 'text' });
		const { access_token: token, expiry_date: expires } = client.credentials;
		return { token: token.slice(-12), expires: expires / 1000, body: answer.data };
	};
}

function azure(scope, url) {
	const { DefaultAzureCredential } = require('@azure/identity');
	// The authority is none that the SDK knows: it would ask a public site about it. With Entra itself that is not needed.
	const credential = new DefaultAzureCredential({ disableInstanceDiscovery: true });
	return async () => {
		const { token, expiresOnTimestamp } = await credential.getToken(scope);
		const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
		const body = await answer.text();
		if (!answer.ok)
			throw new Error(`${answer.status} ${body}`);
		return { token: token.slice(-12), expires: expiresOnTimestamp / 1000, body };
	};
}

// The ways in which these SDKs read files; each must give all of it.
function read(file) {
	return async () => {
		const whole = await fs.promises.readFile(file);
		const sync = fs.readFileSync(file, 'utf8');
		const called = await new Promise((done, failed) => fs.readFile(file, (err, data) => err ? failed(err) : done(data)));
		return { size: fs.statSync(file).size, promised: whole.length, sync: sync.length, called: called.length,
			same: whole.toString() === sync && called.equals(whole), body: sync };
	};
}

async function once(act) {
	try {
		emit('done', await act());
		return 0;
	} catch (err) {
		// A chain of providers tells each one's reason in an error of its own.
		const all = [err, ...(err.errors || []), ...(err.cause ? [err.cause] : [])];
		emit('refused', { name: err.name, code: err.code, message: all.map((e) => e.message).join('; ') });
		return 1;
	}
}

async function main() {
	const [mode, ...words] = process.argv.slice(2);
	const act = { aws, gcp, azure, read }[mode](...words);
	process.exitCode = await once(act);
	for await (const line of readline.createInterface({ input: process.stdin }))
		if (line === 'again')
			process.exitCode = await once(act);
}

main();
