// SPDX-License-Identifier: Apache-2.0

// node-workload: a workload without a SPIFFE library, only @grpc/grpc-js and the .proto file beside it, which is how
// many Node programs do it. Prints what it sees as JSON lines, like tests/e2e/go.
// Usage: workload.js fetch | source UPDATES | jwt AUDIENCE... | jwt-bundles | jwt-watch UPDATES | validate AUDIENCE TOKEN
'use strict';

const crypto = require('crypto');
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const proto = path.join(__dirname, 'workload.proto');
const api = grpc.loadPackageDefinition(loader.loadSync(proto, { keepCase: true })).SpiffeWorkloadAPI;
const client = new api(process.env.SPIFFE_ENDPOINT_SOCKET, grpc.credentials.createInsecure());
const metadata = new grpc.Metadata();
metadata.set('workload.spiffe.io', 'true');
const wait = 70000; // ms for anything

function emit(event, fields) {
	console.log(JSON.stringify({ event, at: Date.now() / 1000, ...fields }));
}

function leaf(svid) {
	const certificate = new crypto.X509Certificate(svid.x509_svid);
	const key = crypto.createPrivateKey({ key: svid.x509_svid_key, format: 'der', type: 'pkcs8' });
	if (!certificate.checkPrivateKey(key))
		throw new Error('the key is not the certificate\'s');
	return {
		id: svid.spiffe_id, hint: svid.hint, serial: certificate.serialNumber.toLowerCase().replace(/^0+/, ''),
		not_after: Date.parse(certificate.validTo) / 1000,
	};
}

const name = (id) => id.replace('spiffe://', '');

function x509Bundles(bundles) {
	const all = {};
	for (const [id, der] of Object.entries(bundles))
		all[name(id)] = [new crypto.X509Certificate(der).serialNumber.toLowerCase().replace(/^0+/, '')];
	return all;
}

function jwtBundles(bundles) {
	const all = {};
	for (const [id, jwks] of Object.entries(bundles))
		all[name(id)] = JSON.parse(jwks).keys.map((key) => key.kid).sort();
	return all;
}

// Checks a token as a verifier would that has only the bundle.
function claims(token, bundles) {
	const [header, body, signature] = token.split('.');
	const part = (text) => JSON.parse(Buffer.from(text, 'base64url'));
	const { kid, alg } = part(header);
	const domain = new URL(part(body).sub).host;
	const jwk = JSON.parse(bundles[`spiffe://${domain}`]).keys.find((key) => key.kid === kid);
	const key = { key: crypto.createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
	const hash = `sha${alg.slice(2)}`;
	if (!crypto.verify(hash, Buffer.from(`${header}.${body}`), key, Buffer.from(signature, 'base64url')))
		throw new Error('the signature is wrong');
	return { kid, alg, ...part(body) };
}

const unary = (method, request) => new Promise((resolve, reject) => {
	client[method](request, metadata, { deadline: Date.now() + wait },
		(error, answer) => (error ? reject(error) : resolve(answer)));
});

// The first messages of a stream, as many as wanted; opened anew when the server ends it with Unavailable.
function follow(method, updates, see) {
	return new Promise((resolve, fail) => {
		let seen = 0;
		const timer = setTimeout(() => fail(new Error(`saw ${seen} updates, wanted ${updates}`)), wait);
		const reject = (error) => {
			clearTimeout(timer);
			fail(error);
		};
		const open = () => {
			const call = client[method]({}, metadata);
			call.on('data', (message) => {
				try {
					seen++;
					see(message, seen);
				} catch (error) {
					reject(error);
				}
				if (seen >= updates) {
					clearTimeout(timer);
					call.cancel();
					resolve();
				}
			});
			call.on('error', (error) => {
				if (seen >= updates)
					return;
				if (error.code !== grpc.status.UNAVAILABLE)
					reject(error);
				else
					setTimeout(open, 200);
			});
			call.on('end', () => {});
		};
		open();
	});
}

const modes = {
	fetch: () => follow('FetchX509SVID', 1, ({ svids, federated_bundles: federated }) => {
		const own = { [svids[0].spiffe_id.split('/', 3).join('/')]: svids[0].bundle };
		emit('fetched', { svids: svids.map(leaf), bundles: x509Bundles({ ...own, ...federated }) });
	}),
	source: (updates) => follow('FetchX509SVID', Number(updates),
		(message, n) => emit('update', { n, svids: message.svids.map(leaf) })),
	jwt: async (...audience) => {
		const { svids } = await unary('FetchJWTSVID', { audience });
		await follow('FetchJWTBundles', 1, ({ bundles }) => emit('jwt', { svids: svids.map((svid) => {
			const body = claims(svid.svid, bundles);
			return { id: svid.spiffe_id, hint: svid.hint, aud: [].concat(body.aud), expires: body.exp,
				kid: body.kid, token: svid.svid };
		}) }));
	},
	'jwt-bundles': () => follow('FetchJWTBundles', 1, ({ bundles }) => emit('jwt-bundles', { bundles: jwtBundles(bundles) })),
	'jwt-watch': (updates) => follow('FetchJWTBundles', Number(updates),
		({ bundles }, n) => emit('update', { n, bundles: jwtBundles(bundles) })),
	validate: async (audience, svid) => {
		const valid = await unary('ValidateJWTSVID', { audience, svid });
		const values = valid.claims.fields.aud.listValue || { values: [valid.claims.fields.aud] };
		emit('valid', { id: valid.spiffe_id, aud: values.values.map((value) => value.stringValue),
			claims: Object.keys(valid.claims.fields).sort() });
	},
};

async function main() {
	const [mode, ...words] = process.argv.slice(2);
	try {
		await modes[mode](...words);
	} catch (error) {
		emit('error', { code: error.code, text: error.details || error.message });
		process.exitCode = 1;
	}
	client.close();
}

main();
