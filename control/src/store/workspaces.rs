//! The tenants themselves.

use cmdop_proto::WorkspaceId;

use super::audit::Event;
use super::query::query;
use super::{Error, Store, Workspace, id};

/// A tenant and what people call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedWorkspace {
    /// Which.
    pub id: WorkspaceId,
    /// Its name, unique on the control plane.
    pub name: String,
}

/// Why a workspace was not made.
#[derive(Debug, thiserror::Error)]
pub enum AddWorkspaceError {
    /// There is one.
    #[error("there is a workspace `{name}` already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Store {
    /// Makes a tenant.
    pub async fn add_workspace(
        &self,
        name: &str,
        now_ms: u64,
    ) -> Result<WorkspaceId, AddWorkspaceError> {
        let workspace = WorkspaceId::new();
        let mut tx = self.write().await?;
        let done = query(
            "INSERT INTO workspaces (id, name, name_key, created_at_ms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name_key) DO NOTHING",
        )
        .bind(workspace.to_string())
        .bind(name)
        .bind(name.to_lowercase())
        .bind(now_ms as i64)
        .execute(&mut tx)
        .await
        .map_err(Error::from)?;
        if done == 0 {
            return Err(AddWorkspaceError::NameTaken {
                name: name.to_owned(),
            });
        }
        let event = Event::new("workspace-created", name);
        let made = self.workspace(workspace);
        made.record(&mut tx, event, now_ms).await?;
        tx.commit().await?;
        Ok(workspace)
    }

    /// All tenants, the oldest first.
    pub async fn workspaces(&self) -> Result<Vec<NamedWorkspace>, Error> {
        let rows: Vec<(String, String)> =
            query("SELECT id, name FROM workspaces ORDER BY created_at_ms, id")
                .fetch_all(&mut self.read().await?)
                .await?;
        rows.into_iter()
            .map(|(text, name)| {
                Ok(NamedWorkspace {
                    id: id(&text)?,
                    name,
                })
            })
            .collect()
    }
}

impl Workspace<'_> {
    /// What people call it; nothing if it does not exist.
    pub async fn name(&self) -> Result<Option<String>, Error> {
        Ok(query("SELECT name FROM workspaces WHERE id = $1")
            .bind(self.id.to_string())
            .fetch_optional(&mut self.read().await?)
            .await?)
    }
}
