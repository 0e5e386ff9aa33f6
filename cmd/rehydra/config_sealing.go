package main

import (
	"fmt"
	"strconv"

	"rehydra/sessiontier"
)

// sealKeys reads the key file. Its problems name lines of that file, and show no key.
func (c checker) sealKeys() {
	s := &c.cfg.Store
	c.oneOf("store.sealing", s.Sealing, "strict", "adopt", "off")
	if s.SealKeyFile == "" {
		if s.Sealing == "adopt" || s.Sealing == "off" {
			c.bad("store.sealing", strconv.Quote(s.Sealing)+" without store.seal_key_file", "store.seal_key_file beside it")
		}
		return
	}
	keys, err := sessiontier.LoadKeyring(c.beside(s.SealKeyFile))
	if err != nil {
		c.bad("store.seal_key_file", fmt.Sprintf("%q, which cannot be used: %v", s.SealKeyFile, err),
			"a file with mode 0600 and a line `<key id> <base64 of 32 bytes>` for each key, as rehydra keygen writes it")
		return
	}
	s.Keys = keys
	switch s.Sealing {
	case "adopt":
		c.warn("store.sealing", `"adopt"`, `"strict" when healing has sealed what there is: until then copies that are not sealed are believed`)
	case "off":
		c.warn("store.sealing", `"off"`, `"adopt", then "strict", or no store.seal_key_file: until then copies are not sealed`)
	}
}

// sealing is what the keys are for.
func (s *StoreConfig) sealing() sessiontier.Sealing {
	mode, err := sessiontier.ParseSealing(s.Sealing)
	if err != nil {
		return sessiontier.SealStrict // LoadConfig has refused it
	}
	return mode
}

// withoutKeys is c without what a reload may change: the keys, and what they are for.
func withoutKeys(c StoreConfig) StoreConfig {
	c.Keys, c.SealKeyFile, c.Sealing = nil, "", ""
	return c
}
