package tlsfront

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"strconv"
	"strings"
)

// AppendFields appends the header fields that tell a backend of a client's TLS connection, each with its line end. Names are those of
// mod_ssl and mod_jk; Tomcat's SSLValve reads the first three as it stands:
//
//	SSL_CLIENT_CERT        the client's certificate as PEM, in one line: each line end is a blank
//	SSL_CIPHER             as in "TLS_AES_128_GCM_SHA256"
//	SSL_CIPHER_USEKEYSIZE  bits of its key
//	SSL_PROTOCOL           "TLSv1.2" or "TLSv1.3"
//	SSL_CLIENT_VERIFY      "SUCCESS", or "NONE" where the client showed no certificate
//	SSL_CLIENT_S_DN        its subject, and
//	SSL_CLIENT_I_DN        its issuer, as RFC 4514 writes them, in ASCII
//	SSL_CLIENT_M_SERIAL    its serial number, hexadecimal
//	SSL_CLIENT_V_START     the first and
//	SSL_CLIENT_V_END       the last second in which it is valid, as "Jan  2 15:04:05 2006 GMT"
//
// Those of a certificate are there only if the client showed one. SSL_SESSION_ID is not among them: TLS 1.3 has no such thing.
func AppendFields(dst []byte, state *tls.ConnectionState) []byte {
	verify := "NONE"
	if len(state.VerifiedChains) > 0 {
		verify = "SUCCESS"
		cert := state.PeerCertificates[0]
		dst = append(dst, "SSL_CLIENT_CERT: "...)
		dst = appendPEM(dst, cert)
		dst = append(dst, "\r\n"...)
		dst = appendField(dst, "SSL_CLIENT_S_DN", headerSafe(cert.Subject.String()))
		dst = appendField(dst, "SSL_CLIENT_I_DN", headerSafe(cert.Issuer.String()))
		dst = appendField(dst, "SSL_CLIENT_M_SERIAL", strings.ToUpper(cert.SerialNumber.Text(16)))
		dst = appendField(dst, "SSL_CLIENT_V_START", cert.NotBefore.UTC().Format(opensslTime))
		dst = appendField(dst, "SSL_CLIENT_V_END", cert.NotAfter.UTC().Format(opensslTime))
	}
	dst = appendField(dst, "SSL_CLIENT_VERIFY", verify)
	dst = appendField(dst, "SSL_CIPHER", tls.CipherSuiteName(state.CipherSuite))
	dst = appendField(dst, "SSL_CIPHER_USEKEYSIZE", strconv.Itoa(keySize(state.CipherSuite)))
	return appendField(dst, "SSL_PROTOCOL", strings.Replace(tls.VersionName(state.Version), "TLS ", "TLSv", 1))
}

// opensslTime is how mod_ssl gives times.
const opensslTime = "Jan _2 15:04:05 2006 GMT"

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// appendPEM appends a certificate as PEM with a blank for each line end, as mod_headers sends it. SSLValve turns them back, and counts on
// there being one after the first line and one before the last, and none at the end.
func appendPEM(dst []byte, cert *x509.Certificate) []byte {
	const line = 48 // bytes of DER that make a line of 64 characters
	dst = append(dst, "-----BEGIN CERTIFICATE-----"...)
	for der := cert.Raw; len(der) > 0; {
		n := min(line, len(der))
		dst = append(dst, ' ')
		dst = base64.StdEncoding.AppendEncode(dst, der[:n])
		der = der[n:]
	}
	return append(dst, " -----END CERTIFICATE-----"...)
}

// headerSafe writes every byte that is not printable ASCII as RFC 4514 lets any byte be written, "\0A": a certificate may hold a line end in
// its subject, and what the fields of a head mean beyond ASCII is for nobody to say.
func headerSafe(dn string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(dn) {
		if c >= ' ' && c <= '~' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('\\')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// keySize returns the bits of a cipher suite's key.
func keySize(suite uint16) int {
	name := tls.CipherSuiteName(suite)
	switch {
	case strings.Contains(name, "AES_128"), strings.Contains(name, "RC4_128"):
		return 128
	case strings.Contains(name, "AES_256"), strings.Contains(name, "CHACHA20"):
		return 256
	}
	return 0
}
