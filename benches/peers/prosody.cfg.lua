-- Prosody as it is compared: @…@ is filled in by compare.sh. Storage: files, without fsync.
run_as_root = true
pidfile = "@DIR@/prosody.pid"
data_path = "@DIR@/data"
log = { warn = "*console" }
interfaces = { "127.0.0.1" }
c2s_ports = { @C2S@ }
c2s_direct_tls_ports = { @TLS@ }
s2s_ports = {}
http_ports = {}
https_ports = {}
ssl = { certificate = "@DIR@/cert.pem", key = "@DIR@/key.pem" }
c2s_direct_tls_ssl = { certificate = "@DIR@/cert.pem", key = "@DIR@/key.pem" }
c2s_require_encryption = false
network_backend = "epoll"
network_settings = { tcp_backlog = 1024 }
storage = "internal"
allow_registration = true
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping", "register_ibr", "offline", "smacks" }
modules_disabled = { "s2s" }

VirtualHost "localhost"
  authentication = "internal_hashed"

VirtualHost "anon.localhost"
  authentication = "anonymous"

Component "conference.localhost" "muc"
