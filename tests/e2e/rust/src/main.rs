// SPDX-License-Identifier: Apache-2.0

//! rust-workload: one workload that speaks to a Workload API through the crate `spiffe`, which
//! checks more than any other client. Prints what it sees as JSON lines, like tests/e2e/go.
//! Usage: rust-workload fetch|source SOCKET [SECONDS] [UPDATES], or a mode of jwt.rs with its words.

mod jwt;

use spiffe::{WorkloadApiClient, X509Source, X509Svid};
use std::process::ExitCode;
use std::time::Duration;

/// A JSON string literal; enough for error texts and SPIFFE IDs.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The DER of the leaf tells two SVIDs apart without a parser here: a cheap stable fingerprint.
fn fingerprint(svid: &X509Svid) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in svid.leaf().as_bytes() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

fn svid_json(svid: &X509Svid) -> String {
    format!(
        "{{\"id\":{},\"hint\":{},\"serial\":\"{:x}\",\"chain\":{}}}",
        quoted(&svid.spiffe_id().to_string()),
        quoted(svid.hint().unwrap_or("")),
        fingerprint(svid),
        svid.cert_chain().len()
    )
}

async fn fetch(socket: &str) -> Result<(), String> {
    let client = WorkloadApiClient::connect_to(socket)
        .await
        .map_err(|e| e.to_string())?;
    let context = client
        .fetch_x509_context()
        .await
        .map_err(|e| format!("{e:?}"))?;
    let svids: Vec<String> = context.svids().iter().map(|s| svid_json(s)).collect();
    println!(
        "{{\"event\":\"fetched\",\"svids\":[{}],\"bundles\":{}}}",
        svids.join(","),
        context.bundle_set().len()
    );
    client.fetch_x509_bundles().await.map_err(|e| format!("{e:?}"))?;
    println!("{{\"event\":\"bundles\"}}");
    Ok(())
}

async fn source(socket: &str, updates: u32) -> Result<(), String> {
    let source = X509Source::builder()
        .endpoint(socket)
        .build()
        .await
        .map_err(|e| format!("{e:?}"))?;
    let mut changes = source.updated();
    let mut n = 0;
    loop {
        match source.svid() {
            Ok(svid) => {
                n += 1;
                println!(
                    "{{\"event\":\"update\",\"n\":{n},\"svids\":[{}]}}",
                    svid_json(&svid)
                );
            }
            Err(e) => println!(
                "{{\"event\":\"withdrawn\",\"text\":{}}}",
                quoted(&format!("{e:?}"))
            ),
        }
        if updates > 0 && n >= updates {
            break;
        }
        changes.changed().await.map_err(|e| format!("{e:?}"))?;
    }
    source.shutdown().await;
    Ok(())
}

const MODES: [&str; 6] = ["fetch", "source", "jwt", "jwt-bundles", "jwt-watch", "validate"];

fn number(args: &[String], at: usize, otherwise: u32) -> u32 {
    args.get(at)
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if args.len() < 3 || !MODES.contains(&args[1].as_str()) {
        eprintln!("usage: rust-workload MODE SOCKET [WORD...], modes: {MODES:?}");
        return ExitCode::from(2);
    }
    let limit = Duration::from_secs(u64::from(number(&args, 3, 20)));
    let words: Vec<&str> = args[3..].iter().map(String::as_str).collect();
    let run = async {
        match args[1].as_str() {
            "fetch" => fetch(&args[2]).await,
            "source" => source(&args[2], number(&args, 4, 1)).await,
            "jwt" => jwt::fetch(&args[2], &words).await,
            "jwt-bundles" => jwt::bundles(&args[2]).await,
            "jwt-watch" => jwt::watch(&args[2], number(&args, 4, 1)).await,
            _ => jwt::validate(&args[2], &words).await,
        }
    };
    let outcome = match tokio::time::timeout(limit, run).await {
        Ok(outcome) => outcome,
        Err(_) => Err("time is up".to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            println!("{{\"event\":\"error\",\"text\":{}}}", quoted(&text));
            ExitCode::FAILURE
        }
    }
}
