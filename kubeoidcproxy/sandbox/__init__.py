"""The embedded default: an OIDC issuer and an API server stand-in on loopback."""
