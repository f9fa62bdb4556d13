//! `EnrollService`: machines and relays join. The enrolment token in the request is the credential.

use cmdop_proto::v1::enroll_service_server::EnrollService;
use cmdop_proto::v1::{
    EnrollMachineRequest, EnrollMachineResponse, EnrollRelayRequest, EnrollRelayResponse,
};
use cmdop_proto::{Refusal, text};
use cmdop_service::serve::Peer;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::assertion::public_key;
use crate::enrollment::{Guest, hash_of};
use crate::names::{self, MAX_PEM};
use crate::plane::{ControlPlane, Shared};
use crate::store::{Credential, EnrollError, NewMachine, NewRelay};
use crate::throttle::{STRANGER, neighbourhood};

/// The service.
#[derive(Debug)]
pub(super) struct Enroll(pub Shared);

#[tonic::async_trait]
impl EnrollService for Enroll {
    async fn enroll_machine(
        &self,
        request: Request<EnrollMachineRequest>,
    ) -> Result<Response<EnrollMachineResponse>, Status> {
        self.0.slow_down(request.extensions().get::<Peer>())?;
        Ok(Response::new(machine(&self.0, request.into_inner()).await?))
    }

    async fn enroll_relay(
        &self,
        request: Request<EnrollRelayRequest>,
    ) -> Result<Response<EnrollRelayResponse>, Status> {
        self.0.slow_down(request.extensions().get::<Peer>())?;
        Ok(Response::new(relay(&self.0, request.into_inner()).await?))
    }
}

impl ControlPlane {
    fn slow_down(&self, peer: Option<&Peer>) -> Result<(), Refusal> {
        let from = peer.map_or_else(String::new, |peer| neighbourhood(peer.0.ip()));
        self.throttle
            .take(format!("enroll/{from}"), STRANGER, Instant::now())
            .map_err(|wait| {
                Refusal::exhausted("busy", "too many enrolments from this address")
                    .hint(format!("wait {} s and try again", wait.as_secs() + 1))
            })
    }
}

async fn machine(
    plane: &ControlPlane,
    asked: EnrollMachineRequest,
) -> Result<EnrollMachineResponse, Refusal> {
    let hash = hash_of(&asked.token, Guest::Machine, &plane.ca.fingerprint())?;
    let new = NewMachine {
        name: names::machine(&asked.hostname)?.to_owned(),
        public_key: public_key(&asked.public_key_pem)?.to_owned(),
        labels: names::labels(asked.labels)?,
        os: names::word(&asked.os),
        arch: names::word(&asked.arch),
        agent_version: names::word(&asked.agent_version),
    };
    let workspace = plane
        .store
        .workspace_of(Credential::MachineToken(&hash))
        .await?
        .ok_or(EnrollError::Invalid)?;
    let workspace = plane.store.workspace(workspace);
    let now_ms = plane.clock.now_ms();
    let joined = workspace.enroll_machine(&hash, new, now_ms).await;
    let machine = match joined.map_err(Refusal::from) {
        Ok(machine) => machine,
        Err(refusal) => {
            plane
                .record_worthless(&workspace, ("enrolment token", &hash), &refusal)
                .await?;
            return Err(refusal);
        }
    };
    tracing::info!(machine = %machine.name, id = %machine.id, "a machine joined");
    Ok(EnrollMachineResponse {
        machine_id: machine.id.to_string(),
        workspace_id: machine.workspace.to_string(),
        workspace_name: workspace.name().await?.unwrap_or_default(),
        relay_urls: plane.store.relay_urls().await?,
        ca_pem: plane.ca.pem().to_owned(),
        now_ms,
    })
}

async fn relay(
    plane: &ControlPlane,
    asked: EnrollRelayRequest,
) -> Result<EnrollRelayResponse, Refusal> {
    let hash = hash_of(&asked.token, Guest::Relay, &plane.ca.fingerprint())?;
    let key = public_key(&asked.public_key_pem)?.to_owned();
    let (url, host) = address(&asked.advertise_url)?;
    let now_ms = plane.clock.now_ms();
    // Before the token is used up: a request that cannot be signed costs nothing.
    let certificate_pem = plane.ca.sign_relay(&asked.csr_pem, &host, now_ms)?;
    let new = NewRelay {
        url,
        public_key: key,
    };
    let relay = plane.store.enroll_relay(&hash, new, now_ms).await?;
    tracing::info!(relay = %relay.url, id = %relay.id, "a relay joined");
    Ok(EnrollRelayResponse {
        relay_id: relay.id.to_string(),
        certificate_pem,
        ca_pem: plane.ca.pem().to_owned(),
        now_ms,
    })
}

/// `https://host:port` and the host in it, which a certificate can name.
fn address(url: &str) -> Result<(String, String), Refusal> {
    let bad = || {
        Refusal::invalid(
            "bad-request",
            format!(
                "`{}` is not an address of the form https://host:port",
                text::shown(url, 128)
            ),
        )
        .hint("it is how agents and clients reach the relay: --advertise https://host:port")
    };
    if url.len() > MAX_PEM {
        return Err(bad());
    }
    let uri: http::Uri = url.parse().map_err(|_| bad())?;
    let (Some("https"), Some(host), Some(port)) = (uri.scheme_str(), uri.host(), uri.port_u16())
    else {
        return Err(bad());
    };
    let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    let has_user = uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    let name = host.trim_matches(['[', ']']);
    let is_host = text::is_hostname(name) || name.parse::<std::net::IpAddr>().is_ok();
    if !is_bare || has_user || !is_host || port == 0 {
        return Err(bad());
    }
    let host = host.to_ascii_lowercase();
    Ok((format!("https://{host}:{port}"), name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_and_nothing_else() {
        let of = |url: &str| address(url).map(|(url, host)| format!("{url} {host}"));
        assert_eq!(
            of("https://Relay.example:7444/").unwrap(),
            "https://relay.example:7444 relay.example"
        );
        assert_eq!(of("https://[::1]:7444").unwrap(), "https://[::1]:7444 ::1");
        for bad in [
            "http://a:1",
            "https://a",
            "https://a:0",
            "https://u@a:1",
            "https://a:1/x",
            "https://a:1?x",
            "https://*.a:1",
            "a:1",
            "",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
