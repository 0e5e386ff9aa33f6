package rehydra

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// stateFormat is the number of the form below; a state of another form is refused, not guessed at.
const stateFormat = 1

// values are a session's contents: each one as the JSON that json.Marshal made of it.
type values map[string]json.RawMessage

// appendState appends a session in the form in which it travels:
//
//	{"format":1,"created":1700000000000,"values":{"name":<JSON>, ...}}
//
// created is in milliseconds since 1970 UTC. Names are sorted, so that equal sessions are equal bytes.
func appendState(dst []byte, created time.Time, vs values) []byte {
	dst = append(dst, `{"format":`...)
	dst = strconv.AppendInt(dst, stateFormat, 10)
	dst = append(dst, `,"created":`...)
	dst = strconv.AppendInt(dst, created.UnixMilli(), 10)
	dst = append(dst, `,"values":{`...)
	for i, name := range slices.Sorted(maps.Keys(vs)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, name)
		dst = append(dst, ':')
		dst = append(dst, vs[name]...)
	}
	return append(dst, '}', '}')
}

func appendString(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // a string always has a JSON form
		panic(err)
	}
	return append(dst, quoted...)
}

// parseState reads what appendState wrote. The error says what is wrong and quotes nothing of the state.
func parseState(state []byte) (created time.Time, vs values, err error) {
	var wire struct {
		Format  int    `json:"format"`
		Created int64  `json:"created"`
		Values  values `json:"values"`
	}
	if err := json.Unmarshal(state, &wire); err != nil {
		return time.Time{}, nil, fmt.Errorf("cannot read session state of %d bytes: not the JSON object wanted", len(state))
	}
	if wire.Format != stateFormat {
		return time.Time{}, nil, fmt.Errorf("cannot read session state of %d bytes: format %d given, %d wanted",
			len(state), wire.Format, stateFormat)
	}
	if wire.Values == nil {
		wire.Values = values{}
	}
	return time.UnixMilli(wire.Created), wire.Values, nil
}
