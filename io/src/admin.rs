//! The operator's HTTP endpoint: is the broker alive, is it ready, what does it count.
//!
//! Decided here: `/healthz` is 200 while every thread answers, `/readyz` once every shard of the
//! coordinator serves too, `/metrics` is OpenMetrics. It runs on the thread of `main`, so that it
//! costs the broker nothing while nobody asks.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::broker::Observer;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// What `/metrics` is.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, observer: Observer) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("the admin endpoint cannot accept: {error}");
                // Until it can again.
                observer.pause().await;
                continue;
            }
        };
        let observer = observer.clone();
        let service = service_fn(move |request| {
            let observer = observer.clone();
            async move { Ok::<_, Infallible>(answer(&request, &observer).await) }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!("a connection to the admin endpoint ended: {error}");
            }
        });
    }
}

async fn answer(request: &Request<Incoming>, observer: &Observer) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        refused.headers_mut().insert(ALLOW, "GET, HEAD".parse().expect("a header"));
        return refused;
    }
    let path = request.uri().path();
    if !matches!(path, "/healthz" | "/readyz" | "/metrics") {
        return plain(StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics\n");
    }
    let Some(snapshot) = observer.snapshot().await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "a thread does not answer\n");
    };
    match path {
        "/metrics" => text(StatusCode::OK, OPEN_METRICS, snapshot.open_metrics()),
        "/readyz" if !snapshot.is_ready() => {
            let left = snapshot.shards - snapshot.shards_active;
            let words = format!("{left} of {} shards do not serve yet\n", snapshot.shards);
            text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, words)
        }
        _ => plain(StatusCode::OK, "ok\n"),
    }
}

fn plain(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    text(status, PLAIN, words.to_owned())
}

fn text(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header(CONTENT_TYPE, kind);
    response.body(Full::new(Bytes::from(text))).expect("a right head")
}
