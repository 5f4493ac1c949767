// SPDX-License-Identifier: Apache-2.0

//! JWT-SVIDs of rust-workload, through the crate's JwtSource and client; a fetched token is checked
//! with the crate's own validator against the bundles that the source holds.
//! Modes: jwt SOCKET AUDIENCE...; jwt-bundles SOCKET; jwt-watch SOCKET SECONDS UPDATES; validate SOCKET AUDIENCE TOKEN

use crate::quoted;
use spiffe::{JwtBundleSet, JwtSource, JwtSvid, WorkloadApiClient};

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn svid_json(svid: &JwtSvid) -> String {
    format!(
        "{{\"id\":{},\"hint\":{},\"aud\":{},\"expires\":{},\"kid\":{},\"token\":{}}}",
        quoted(&svid.spiffe_id().to_string()),
        quoted(svid.hint().unwrap_or("")),
        list(svid.audience().iter().map(|a| quoted(a))),
        svid.expiry().unix_timestamp(),
        quoted(svid.key_id()),
        quoted(svid.token())
    )
}

fn bundles_json(set: &JwtBundleSet) -> String {
    let all: Vec<String> = set
        .iter()
        .map(|(domain, bundle)| {
            let mut kids: Vec<String> = bundle.jwt_authorities().map(|a| quoted(a.key_id())).collect();
            kids.sort();
            format!("{}:[{}]", quoted(&domain.to_string()), kids.join(","))
        })
        .collect();
    format!("{{{}}}", all.join(","))
}

async fn client(socket: &str) -> Result<WorkloadApiClient, String> {
    WorkloadApiClient::connect_to(socket).await.map_err(|e| e.to_string())
}

async fn source(socket: &str) -> Result<JwtSource, String> {
    let built = JwtSource::builder().endpoint(socket).build().await;
    built.map_err(|e| format!("{e:?}"))
}

pub(crate) async fn fetch(socket: &str, audiences: &[&str]) -> Result<(), String> {
    let source = source(socket).await?;
    let first = source.fetch_jwt_svid(audiences).await.map_err(|e| format!("{e:?}"))?;
    JwtSvid::parse_and_validate(first.token(), &source, &audiences[..1])
        .map_err(|e| format!("the token fetched is not valid: {e:?}"))?;
    let all = client(socket).await?.fetch_all_jwt_svids(audiences, None).await;
    let all = all.map_err(|e| format!("{e:?}"))?;
    println!("{{\"event\":\"jwt\",\"svids\":{}}}", list(all.iter().map(svid_json)));
    source.shutdown().await;
    Ok(())
}

pub(crate) async fn bundles(socket: &str) -> Result<(), String> {
    let set = client(socket).await?.fetch_jwt_bundles().await.map_err(|e| format!("{e:?}"))?;
    println!("{{\"event\":\"jwt-bundles\",\"bundles\":{}}}", bundles_json(&set));
    Ok(())
}

pub(crate) async fn watch(socket: &str, updates: u32) -> Result<(), String> {
    let source = source(socket).await?;
    let mut changes = source.updated();
    for n in 1..=updates {
        let set = source.bundle_set().map_err(|e| format!("{e:?}"))?;
        println!("{{\"event\":\"update\",\"n\":{n},\"bundles\":{}}}", bundles_json(&set));
        if n < updates {
            changes.changed().await.map_err(|e| format!("{e:?}"))?;
        }
    }
    source.shutdown().await;
    Ok(())
}

pub(crate) async fn validate(socket: &str, words: &[&str]) -> Result<(), String> {
    let [audience, token] = words else {
        return Err("validate SOCKET AUDIENCE TOKEN".to_string());
    };
    let svid = client(socket).await?.validate_jwt_token(audience, token).await;
    let svid = svid.map_err(|e| format!("{e:?}"))?;
    println!("{{\"event\":\"valid\",{}", &svid_json(&svid)[1..]);
    Ok(())
}
