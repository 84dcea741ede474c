//! Every address there is, in one table: the router and the list that `/openapi.json` is checked against are made of
//! it.
//!
//! Always true here: the router has no fallback of its own, so it can be merged with ingest's.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{delete, get, patch, post, put};

use futures_util::FutureExt as _;

use crate::reading::keep_looking;
use crate::{
    Serve, books, comparison, evaluations, events, flag_statuses, launchdarkly, metadata, page, pipeline, probes,
    request, stale_flags,
};

macro_rules! routes {
    ($($method:ident $path:literal => $handler:expr;)*) => {
        /// Method and path of each route.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($method), $path)),*];

        fn routes() -> Router<Arc<Serve>> {
            Router::new()$(.route($path, $method($handler)))*
        }
    };
}

routes! {
    get "/v1/projects/{project}/environments/{environment}/evaluations" => evaluations::evaluations;
    get "/v1/projects/{project}/environments/{environment}/events" => events::events;
    get "/v1/projects/{project}/environments/{environment}/books" => books::books;
    get "/v1/projects/{project}/stale-flags" => stale_flags::stale_flags;
    get "/v1/projects/{project}/stale-flags/backtest" => stale_flags::backtest::backtest;
    get "/v1/projects/{project}/flags/{flag}" => metadata::answers::show;
    put "/v1/projects/{project}/flags/{flag}" => metadata::answers::put;
    patch "/v1/projects/{project}/flags/{flag}" => metadata::answers::change;
    delete "/v1/projects/{project}/flags/{flag}" => metadata::answers::remove;
    put "/v1/projects/{project}/flags/{flag}/snooze" => metadata::answers::snooze;
    get "/v1/projects/{project}/code-references" => metadata::code_references::show;
    put "/v1/projects/{project}/code-references" => metadata::code_references::put;
    get "/v1/pipeline/health" => pipeline::health;
    get "/v1/pipeline/comparison" => comparison::show;
    get "/v1/pipeline/gate" => comparison::gate;
    get "/v1/pipeline/dead-letters" => pipeline::dead_letters;
    get "/api/v2/usage/evaluations/{project}/{environment}/{flag}" => launchdarkly::evaluations;
    get "/api/v2/usage/events/{type}" => launchdarkly::events;
    get "/api/v2/flag-statuses/{project}/{environment}" => flag_statuses::of_environment;
    get "/api/v2/flag-statuses/{project}/{environment}/{flag}" => flag_statuses::of_flag;
    get "/api/v2/flag-status/{project}/{flag}" => flag_statuses::across_environments;
    get "/livez" => probes::livez;
    get "/readyz" => probes::readyz;
    get "/metrics" => probes::metrics;
    get "/openapi.json" => probes::document;
    get "/" => page::environment::show;
    get "/flag" => page::flag::show;
    get "/stale" => page::stale::show;
    post "/stale/snooze" => page::stale::snooze::take;
    get "/pipeline/comparison" => page::comparison::show;
    get "/login" => page::login::show;
    post "/login" => page::login::enter;
    post "/logout" => page::login::leave;
    get "/page.css" => page::style;
    get "/page.js" => page::script;
    get "/evidence.js" => page::evidence_script;
}

/// Of the log-in form; metadata has a limit of its own.
const BODY_BYTES_MAX: usize = 8 * 1024;

/// The service as a router. Merge it with ingest's where both answer on one port.
pub fn router(serve: Serve) -> Router {
    over(Arc::new(serve))
}

/// The same, and what must run beside it for ever: it looks whether anything waits, so that answers given while
/// something does reach as far as they can, and makes the comparisons that are asked for.
pub fn service(serve: Serve) -> (Router, impl Future<Output = ()> + Send + use<>) {
    let serve = Arc::new(serve);
    let looking = keep_looking(Arc::downgrade(&serve));
    let comparing = comparison::line::keep_comparing(serve.comparisons.clone(), Arc::downgrade(&serve));
    (over(serve), futures_util::future::join(looking, comparing).map(drop))
}

fn over(serve: Arc<Serve>) -> Router {
    let ids = Arc::new(request::RequestIds::new(&serve.request_prefix));
    let below = get(page::flag::below);
    routes()
        .route(page::flag::BELOW, below.clone())
        .route(&format!("{}{{*rest}}", page::flag::BELOW), below)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state((ids, Arc::clone(&serve)), request::answer))
        .with_state(serve)
}
