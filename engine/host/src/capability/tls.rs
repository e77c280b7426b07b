//! Which cryptography TLS uses: ring, for every client of this process.

use std::sync::Once;

/// Makes ring the provider, once.
pub(crate) fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Other code in the process may already have chosen one, which is just as good.
        let _already = rustls::crypto::ring::default_provider().install_default();
    });
}
