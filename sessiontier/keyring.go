package sessiontier

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"os"

	"golang.org/x/crypto/chacha20poly1305"
)

// Keyring holds the keys that seal copies (XChaCha20-Poly1305): the first one writes, all of them read. It is never changed.
type Keyring struct {
	keys []sealKey
}

type sealKey struct {
	id   string
	aead cipher.AEAD
}

// The limits of a key file.
const (
	maxKeyID   = 64
	maxKeys    = 64
	maxKeyFile = 64 << 10
)

// wantedKeyLine is what an error asks for.
const wantedKeyLine = "wanted `<key id> <base64 of 32 bytes>`"

// LoadKeyring reads a key file, which nobody but its owner may read. The error names file and line, and never shows a key.
func LoadKeyring(path string) (*Keyring, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read key file: %w", err)
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("cannot use key file %q: its mode is %v, wanted a file that only its owner can read (chmod 600)", path, mode)
	}
	if info.Size() > maxKeyFile {
		return nil, fmt.Errorf("cannot use key file %q: it has %d bytes, wanted at most %d", path, info.Size(), maxKeyFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read key file: %w", err)
	}
	keys, err := ParseKeyring(data)
	if err != nil {
		return nil, fmt.Errorf("cannot use key file %q: %w", path, err)
	}
	return keys, nil
}

// ParseKeyring reads the text of a key file: a line each of `<key id> <base64 of 32 bytes>`, where # begins a comment. The
// error lists every line that is wrong.
func ParseKeyring(text []byte) (*Keyring, error) {
	r := &Keyring{}
	var wrong []error
	seen := make(map[string]bool)
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line, _, _ = bytes.Cut(line, []byte("#"))
		words := bytes.Fields(line)
		if len(words) == 0 {
			continue
		}
		key, err := parseKey(words)
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Errorf("line %d: %w", number, err))
		case seen[key.id]:
			wrong = append(wrong, fmt.Errorf("line %d: the key id %q a second time, wanted each id once", number, key.id))
		default:
			seen[key.id] = true
			r.keys = append(r.keys, key)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	if len(r.keys) == 0 || len(r.keys) > maxKeys {
		return nil, fmt.Errorf("%d keys, wanted 1 to %d", len(r.keys), maxKeys)
	}
	return r, nil
}

func parseKey(words [][]byte) (sealKey, error) {
	if len(words) != 2 {
		return sealKey{}, fmt.Errorf("%d words, %s", len(words), wantedKeyLine)
	}
	if !validKeyID(words[0]) {
		return sealKey{}, fmt.Errorf("an unusable key id, wanted 1 to %d letters, digits, '.', '_' or '-'", maxKeyID)
	}
	secret, err := base64.StdEncoding.DecodeString(string(words[1]))
	if err != nil {
		return sealKey{}, fmt.Errorf("a key that is not base64, %s", wantedKeyLine)
	}
	if len(secret) != chacha20poly1305.KeySize {
		return sealKey{}, fmt.Errorf("a key of %d bytes, %s", len(secret), wantedKeyLine)
	}
	aead, err := chacha20poly1305.NewX(secret)
	if err != nil {
		return sealKey{}, fmt.Errorf("a key that cannot be used: %w", err)
	}
	return sealKey{id: string(words[0]), aead: aead}, nil
}

func validKeyID(id []byte) bool {
	for _, c := range id {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return len(id) > 0 && len(id) <= maxKeyID
}

// writing is the key that seals.
func (r *Keyring) writing() *sealKey { return &r.keys[0] }

// open returns the state of a sealed copy, and the key that sealed it. It fails closed: a byte changed anywhere, another store key or an unknown key is an error.
func (r *Keyring) open(b []byte, h head, storeKey string) ([]byte, *sealKey, error) {
	rest := b[h.names:]
	if len(rest) < 1 || len(rest) < 1+int(rest[0]) {
		return nil, nil, errLengths
	}
	id, rest := rest[1:1+int(rest[0])], rest[1+int(rest[0]):]
	for i := range r.keys {
		key := &r.keys[i]
		if key.id != string(id) {
			continue
		}
		if len(rest) != key.aead.NonceSize()+h.packed+key.aead.Overhead() {
			return nil, nil, errLengths
		}
		nonce, sealed := rest[:key.aead.NonceSize()], rest[key.aead.NonceSize():]
		before := b[:len(b)-len(sealed)]
		state, err := key.aead.Open(nil, nonce, sealed, additional(storeKey, before))
		if err != nil {
			return nil, nil, errSeal
		}
		return state, key, nil
	}
	return nil, nil, errKey
}
