//! `endpoints.json`: where the servers of a data directory answer, from when all listen until they stop.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const FILE: &str = "endpoints.json";

/// One address a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// What the HTTP server names itself by. After a crash the file stays behind, and the address may be another server's.
    pub instance: Uuid,
    pub http: SocketAddr,
    /// `None`: it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<SocketAddr>,
    /// `None`: it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<SocketAddr>,
    /// `None`: it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<SocketAddr>,
}

impl Endpoints {
    /// What the directory's file says. `None` without one, or if it cannot be understood: then nothing is known.
    #[must_use]
    pub fn read(data: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path(data)).ok()?).ok()
    }

    /// Puts the file there whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, data: &Path) -> Result<()> {
        let path = path(data);
        let fresh = path.with_extension("json.new");
        let text = serde_json::to_string(self)? + "\n";
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(data: &Path) -> Result<()> {
        let path = path(data);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }
}

fn path(data: &Path) -> PathBuf {
    data.join(FILE)
}

/// An address to connect to: "any" means this computer.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests;
