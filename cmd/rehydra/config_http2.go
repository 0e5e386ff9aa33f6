package main

// http2 checks what [server.tls] says of HTTP/2.
func (c checker) http2() {
	// Browsers want to send about a hundred requests at once (RFC 9113, section 6.5.2 asks for no fewer).
	c.between("server.tls.http2_max_streams", c.cfg.Server.TLS.MaxStreams, 1, 10000)
}

// protocols are what clients may choose from in the TLS handshake, the best first.
func (t *TLSConfig) protocols() []string {
	if t.HTTP2 {
		return []string{"h2", "http/1.1"}
	}
	return []string{"http/1.1"}
}
