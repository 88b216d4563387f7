//! The interface `trees`.

use std::path::PathBuf;

use aiw_core::RelPath;
use aiw_net::{GitOrigin, ItemKind, Tree};
use wasmtime::component::Resource;

use super::{CallState, to_wit};
use crate::bindings::v0_1::aiw::plugin::{trees, types};
use crate::capabilities::Origin;

type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

fn path(path: &str) -> Result<RelPath, types::Error> {
    RelPath::parse(path).map_err(|e| types::Error::Invalid(e.to_string()))
}

fn git_origin(origin: trees::GitOrigin) -> Result<GitOrigin, types::Error> {
    let sha = origin.sha.map(|sha| sha.parse()).transpose();
    Ok(GitOrigin {
        url: origin.url,
        reference: origin.ref_,
        sha: sha.map_err(|e: aiw_core::InvalidName| types::Error::Invalid(e.to_string()))?,
        path: origin.path.as_deref().map(path).transpose()?,
    })
}

impl CallState {
    fn tree(&self, tree: &Resource<Tree>) -> wasmtime::Result<Tree> {
        Ok(self.table.get(tree)?.clone())
    }
}

impl trees::Host for CallState {
    async fn open(&mut self, origin: trees::Origin) -> Answer<Resource<Tree>> {
        self.allow("trees.open")?;
        self.charge_request()?;
        let origin = match origin {
            trees::Origin::Directory(directory) => {
                if let Some(refused) =
                    self.refused(aiw_extensions::CapabilityKind::Origins, &directory, |origin| origin == "directory")
                {
                    return Ok(Err(refused));
                }
                Origin::Directory(PathBuf::from(directory))
            }
            trees::Origin::Git(origin) => {
                if let Some(refused) =
                    self.check_host(&self.call.trees, aiw_extensions::CapabilityKind::Origins, &origin.url)
                {
                    return Ok(Err(refused));
                }
                match git_origin(origin) {
                    Ok(origin) => Origin::Git(origin),
                    Err(e) => return Ok(Err(e)),
                }
            }
        };
        let (opener, policy) = (self.call.capabilities.trees.clone(), self.call.trees.clone());
        match self.waiting(opener.open(&policy, &origin)).await {
            Ok(tree) => Ok(Ok(self.table.push(tree)?)),
            Err(e) => Ok(Err(self.to_wit(e))),
        }
    }
}

impl trees::HostTree for CallState {
    async fn revision(&mut self, tree: Resource<Tree>) -> wasmtime::Result<String> {
        self.charge_read()?;
        Ok(self.tree(&tree)?.revision().to_owned())
    }

    async fn list(&mut self, tree: Resource<Tree>, at: String) -> Answer<Vec<trees::Item>> {
        self.charge_read()?;
        let tree = self.tree(&tree)?;
        let items = path(&at).and_then(|at| tree.list(&at).map_err(to_wit));
        Ok(items.map(|items| {
            let kind = |kind| match kind {
                ItemKind::File => trees::ItemKind::File,
                ItemKind::Directory => trees::ItemKind::Directory,
                ItemKind::Link => trees::ItemKind::Link,
                ItemKind::Submodule => trees::ItemKind::Submodule,
            };
            items.into_iter().map(|i| trees::Item { name: i.name, kind: kind(i.kind), size: i.size }).collect()
        }))
    }

    async fn read(&mut self, tree: Resource<Tree>, at: String, limit: u32) -> Answer<Vec<u8>> {
        self.charge_read()?;
        let tree = self.tree(&tree)?;
        let limit = u64::from(limit).min(self.call.limits.read_bytes);
        Ok(path(&at).and_then(|at| tree.read(&at, limit).map_err(to_wit)))
    }

    async fn subtree(&mut self, tree: Resource<Tree>, at: String) -> Answer<Resource<Tree>> {
        self.charge_read()?;
        let tree = self.tree(&tree)?;
        match path(&at).and_then(|at| tree.subtree(&at).map_err(to_wit)) {
            Ok(subtree) => Ok(Ok(self.table.push(subtree)?)),
            Err(e) => Ok(Err(e)),
        }
    }

    async fn drop(&mut self, tree: Resource<Tree>) -> wasmtime::Result<()> {
        self.table.delete(tree)?;
        Ok(())
    }
}
