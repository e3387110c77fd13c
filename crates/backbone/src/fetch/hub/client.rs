//! Requests to the hub: redirects, the token, and what its refusals mean.

use std::time::Duration;

use ureq::http::{Method, Request, Response, Uri, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::address::{joined, origin, quoted};
use super::answer::{
    LINKED_CHECKSUM, Listing, RemoteFile, header_text, read_description, read_listing,
};
use super::{HubError, Reference, Settings};

/// Redirects in a row: a renamed model, then a storage server, and some to spare.
const REDIRECTS: usize = 8;
/// The longest list of files that is read.
const LISTING_LIMIT: u64 = 64 << 20;

/// Why a request failed.
pub(super) enum Failure {
    /// Asking again won't help.
    Final(HubError),
    /// It may work in a while, after the wait that the hub asks for if it does.
    Passing {
        reason: String,
        wait: Option<Duration>,
    },
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Failure::Final(error)
    }
}

/// Asks one hub about one model.
pub(super) struct Client<'a> {
    agent: Agent,
    settings: &'a Settings,
    reference: &'a Reference,
}

impl<'a> Client<'a> {
    pub(super) fn new(settings: &'a Settings, reference: &'a Reference) -> Result<Self, HubError> {
        let mut config = Agent::config_builder()
            .user_agent(concat!("metaprompt/", env!("CARGO_PKG_VERSION")))
            // Lengths and checksums are those of the bytes as they are.
            .accept_encoding("identity")
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            // A server that falls silent shows as a cut connection.
            .timeout_per_read(Some(Duration::from_secs(60)));
        let host = settings.endpoint.parse::<Uri>().ok();
        let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
        if matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
            // A hub on this machine isn't behind the network's proxy.
            config = config.proxy(None);
        }
        if let Some(path) = &settings.certificates {
            let problem = |problem: String| HubError::Certificates {
                path: path.clone(),
                problem,
            };
            let bytes = std::fs::read(path).map_err(|error| problem(error.to_string()))?;
            let mut trusted = Vec::new();
            for item in parse_pem(&bytes) {
                if let PemItem::Certificate(one) = item.map_err(|e| problem(e.to_string()))? {
                    trusted.push(one);
                }
            }
            if trusted.is_empty() {
                return Err(problem("there are none in it".to_owned()));
            }
            let roots = RootCerts::new_with_certs(&trusted);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Client {
            agent: config.build().into(),
            settings,
            reference,
        })
    }

    /// Runs a request until it succeeds, fails for good, or has failed too often.
    pub(super) fn patiently<T>(
        &self,
        url: &str,
        mut request: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, HubError> {
        let mut tried = 0;
        loop {
            match request() {
                Ok(answer) => return Ok(answer),
                Err(failure) => self.wait(url, failure, tried, &mut |_, _| {})?,
            }
            tried += 1;
        }
    }

    /// Waits before a repetition: twice as long each time, or as the hub asks.
    ///
    /// Fails when the failure is final, or `tried` repetitions were all that there may be.
    pub(super) fn wait(
        &self,
        url: &str,
        failure: Failure,
        tried: u32,
        say: &mut dyn FnMut(&str, Duration),
    ) -> Result<(), HubError> {
        let (reason, asked) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Passing { reason, wait } => (reason, wait),
        };
        if tried >= self.settings.retries {
            return Err(HubError::Unreachable {
                url: url.to_owned(),
                reason,
                retries: tried,
            });
        }
        let wait = self.settings.first_wait * 2_u32.saturating_pow(tried.min(6));
        let wait = wait.max(asked.unwrap_or_default());
        tracing::debug!(url, reason, ?wait, "trying again");
        say(&reason, wait);
        std::thread::sleep(wait);
        Ok(())
    }

    /// The commit that the revision names, and its files.
    pub(super) fn listing(&self) -> Result<Listing, HubError> {
        let url = format!(
            "{}/api/models/{}/revision/{}",
            self.settings.endpoint,
            self.reference.repository(),
            quoted(self.reference.revision(), "")
        );
        self.patiently(&url, || {
            let body = self.send(&Method::GET, &url, 0)?.into_body();
            let text = body
                .into_with_config()
                .limit(LISTING_LIMIT)
                .read_to_string();
            let text = text.map_err(|error| passing(&error))?;
            read_listing(&text).map_err(|problem| {
                let url = url.clone();
                HubError::BadAnswer { url, problem }.into()
            })
        })
    }

    /// What a file is: its length and checksum.
    pub(super) fn describe(&self, commit: &str, name: &str) -> Result<RemoteFile, HubError> {
        let url = format!(
            "{}/{}/resolve/{commit}/{}",
            self.settings.endpoint,
            self.reference.repository(),
            quoted(name, "/")
        );
        let answer = self.patiently(&url, || self.send(&Method::HEAD, &url, 0))?;
        read_description(name, &url, answer.headers())
            .map_err(|problem| HubError::BadAnswer { url, problem })
    }

    /// A file's bytes from an offset on.
    pub(super) fn open(&self, url: &str, offset: u64) -> Result<Response<Body>, Failure> {
        self.send(&Method::GET, url, offset)
    }

    /// Sends a request and follows redirects, with the token for the hub only.
    fn send(&self, method: &Method, url: &str, offset: u64) -> Result<Response<Body>, Failure> {
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTS {
            let mut request = Request::builder().method(method).uri(&url);
            let at_hub = origin(&url) == origin(&self.settings.endpoint);
            if let Some(token) = self.settings.token.as_ref().filter(|_| at_hub) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            if offset > 0 {
                request = request.header(header::RANGE, format!("bytes={offset}-"));
            }
            let request = request.body(()).map_err(|error| {
                if at_hub && url.parse::<Uri>().is_ok() {
                    return HubError::TokenUnsendable;
                }
                let (url, problem) = (url.clone(), error.to_string());
                HubError::BadAnswer { url, problem }
            })?;
            let answer = self.agent.run(request).map_err(|error| passing(&error))?;
            let status = answer.status();
            // What a file is stands in the hub's own answer, even when its bytes are elsewhere.
            let described =
                *method == Method::HEAD && answer.headers().contains_key(LINKED_CHECKSUM);
            if status.is_success() || (status.is_redirection() && described) {
                return Ok(answer);
            }
            let to = header_text(answer.headers(), header::LOCATION.as_str());
            match to.and_then(|to| joined(&url, to)) {
                Some(to) if status.is_redirection() => url = to,
                _ => return Err(self.refusal(&url, &answer)),
            }
        }
        let problem = format!("more than {REDIRECTS} redirects");
        Err(HubError::BadAnswer { url, problem }.into())
    }

    /// What a status that isn't success means.
    fn refusal(&self, url: &str, answer: &Response<Body>) -> Failure {
        let status = answer.status().as_u16();
        let text = |name| header_text(answer.headers(), name).unwrap_or_default();
        let (code, message) = (text("x-error-code"), text("x-error-message"));
        if matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504) {
            let seconds = text("retry-after").parse().ok();
            return Failure::Passing {
                reason: format!("HTTP status {status}"),
                wait: seconds.map(|seconds: u64| Duration::from_secs(seconds.min(300))),
            };
        }
        let repository = self.reference.repository().to_owned();
        let endpoint = self.settings.endpoint.clone();
        let with_token = self.settings.token.is_some();
        let revision = self.reference.revision().to_owned();
        let at_hub = origin(url) == origin(&endpoint);
        Failure::Final(match (code, status) {
            ("GatedRepo", _) => HubError::Gated {
                repository,
                endpoint,
                with_token,
            },
            ("RevisionNotFound", _) => HubError::UnknownRevision {
                repository,
                revision,
            },
            ("EntryNotFound", _) => HubError::UnknownFile {
                repository,
                file: url.to_owned(),
                has: String::new(),
            },
            (_, 401) if at_hub && with_token && message.contains("credentials") => {
                HubError::TokenRefused { endpoint }
            }
            // The hub answers 401 for what doesn't exist, too, unless it knows who asks.
            ("RepoNotFound", _) | (_, 401 | 404) if at_hub => HubError::UnknownRepository {
                repository,
                endpoint,
                with_token,
            },
            (_, 403) if at_hub => HubError::Gated {
                repository,
                endpoint,
                with_token,
            },
            _ => HubError::Refused {
                url: url.to_owned(),
                status,
                message: message.to_owned(),
            },
        })
    }
}

/// A failure of the connection, which may pass.
fn passing(error: &ureq::Error) -> Failure {
    Failure::Passing {
        reason: error.to_string(),
        wait: None,
    }
}
