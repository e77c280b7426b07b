//! The proxy's control resource, which stands in for a load balancer's API: it shows the traffic's destination and switches it.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::watch};

use super::setting::Setting;

#[derive(Debug, Serialize, Deserialize)]
struct Endpoint {
    address: String,
}

/// Serves until it is aborted.
pub(super) async fn serve(listener: TcpListener, setting: watch::Sender<Setting>) {
    let routes = Router::new().route("/endpoint", get(show).put(switch)).with_state(setting);
    // `serve` returns only after a graceful shutdown, which never happens: the proxy aborts the task.
    axum::serve(listener, routes).await.ok();
}

async fn show(State(setting): State<watch::Sender<Setting>>) -> Json<Endpoint> {
    Json(Endpoint { address: setting.borrow().upstream.to_string() })
}

async fn switch(
    State(setting): State<watch::Sender<Setting>>,
    Json(endpoint): Json<Endpoint>,
) -> Result<Json<Endpoint>, (StatusCode, String)> {
    let port = endpoint.address.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
    if port.is_none_or(|port| port.parse::<u16>().is_err()) {
        return Err((StatusCode::BAD_REQUEST, format!("`{}` is not `host:port`", endpoint.address)));
    }
    setting.send_modify(|setting| setting.upstream = endpoint.address.as_str().into());
    Ok(Json(endpoint))
}
