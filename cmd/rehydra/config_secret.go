package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxTokenLength keeps the token's header field small beside a container's limit for a whole head (Tomcat: 8 KiB).
const maxTokenLength = 512

// Secret is a string that does not show itself: every way of printing it gives "[secret]", or "" when it is empty.
type Secret struct{ text string }

// NewSecret returns a Secret that holds text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text. It is for the one place that sends it, never for a log or an error.
func (s Secret) Reveal() string { return s.text }

// IsEmpty reports whether there is no text.
func (s Secret) IsEmpty() bool { return s.text == "" }

// String implements fmt.Stringer without the text.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return "[secret]"
}

// GoString implements fmt.GoStringer without the text.
func (s Secret) GoString() string { return "Secret(" + s.String() + ")" }

// MarshalText implements encoding.TextMarshaler, and so JSON, without the text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// badToken says what is wrong with a token, without showing it; "" when nothing is. A token is the value of a header
// field, and compared byte by byte: blanks at its ends would get lost on the way.
func badToken(token string) string {
	if token == "" {
		return "an empty token"
	}
	if len(token) > maxTokenLength {
		return fmt.Sprintf("a token of %d bytes", len(token))
	}
	for i := 0; i < len(token); i++ {
		if c := token[i]; c <= ' ' || c > '~' {
			return fmt.Sprintf("a token whose byte %d is not a printable ASCII character", i+1)
		}
	}
	return ""
}

// wantedToken is what badToken's callers say is wanted.
const wantedToken = "1 to 512 printable ASCII characters without blanks, the same as in the backends' adapters"

// readSecretFile returns the text of a file without the line end that editors leave. Its error names the reason, not the path.
func readSecretFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", pathless(err)
	}
	defer file.Close() // only read from: nothing is lost when it fails
	// More than any token, so that a wrong path (a device, a log) is refused and not read to its end.
	data, err := io.ReadAll(io.LimitReader(file, 64<<10))
	if err != nil {
		return "", pathless(err)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// pathless returns the reason within a *fs.PathError.
func pathless(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
