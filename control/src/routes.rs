//! Every HTTP route beside gRPC, as one table: the server is built from it, and a test tries each of them with the
//! credentials of another workspace. There is no other way to add one; a test of the source sees to that.

use axum::Router;
use axum::extract::State;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get};
use http::Method;

use crate::plane::Shared;
use crate::{events, oauth, pages};

/// A path, and what answers there.
pub(crate) struct Route {
    path: &'static str,
    methods: Vec<Method>,
    handlers: MethodRouter<Shared>,
}

impl Route {
    /// Where nothing answers yet.
    pub(crate) fn at(path: &'static str) -> Self {
        Self {
            path,
            methods: Vec::new(),
            handlers: MethodRouter::new(),
        }
    }

    /// Answers `GET`, and `HEAD` with it.
    pub(crate) fn get<T: 'static>(mut self, handler: impl Handler<T, Shared>) -> Self {
        self.methods.push(Method::GET);
        self.handlers = self.handlers.get(handler);
        self
    }

    /// Answers `POST`.
    pub(crate) fn post<T: 'static>(mut self, handler: impl Handler<T, Shared>) -> Self {
        self.methods.push(Method::POST);
        self.handlers = self.handlers.post(handler);
        self
    }
}

/// All of them.
fn all() -> impl Iterator<Item = Route> {
    let health = Route::at("/healthz").get(|| async { "ok\n" });
    oauth::routes()
        .into_iter()
        .chain(pages::routes())
        .chain(events::routes())
        .chain([health])
}

/// What the server answers with.
pub(crate) fn router() -> Router<Shared> {
    all().fold(Router::new(), |router, route| {
        router.route(route.path, route.handlers)
    })
}

/// What the listener for metrics answers with. It is another one, for another network, and asks for nothing.
pub(crate) fn metrics() -> Router<Shared> {
    let render = |State(plane): State<Shared>| async move { plane.meters.render() };
    Router::new().route("/metrics", get(render))
}

/// Each path with the methods that it answers to, for whoever wants to try them all.
pub fn listed() -> Vec<(&'static str, Vec<Method>)> {
    all().map(|route| (route.path, route.methods)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What makes a route, or takes a whole tree of them in.
    const WAYS: [&str; 6] = [
        ".route(",
        ".route_service(",
        ".nest(",
        ".nest_service(",
        ".merge(",
        ".fallback_service(",
    ];

    fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
        let below = folders.iter().flat_map(|folder| sources(folder));
        files.into_iter().chain(below).collect()
    }

    #[test]
    fn no_route_is_made_anywhere_else() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let others = sources(&folder)
            .into_iter()
            .filter(|path| !path.ends_with("routes.rs"));
        for path in others {
            let text = std::fs::read_to_string(&path).unwrap();
            for way in WAYS {
                assert!(!text.contains(way), "{way} in {}", path.display());
            }
        }
    }

    #[test]
    fn no_path_stands_twice_and_each_answers_something() {
        let listed = listed();
        let paths: std::collections::BTreeSet<_> = listed.iter().map(|(path, _)| path).collect();
        assert_eq!(paths.len(), listed.len());
        assert!(listed.iter().all(|(_, methods)| !methods.is_empty()));
    }
}
