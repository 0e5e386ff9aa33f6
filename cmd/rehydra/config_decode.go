package main

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is wanted where a value has the wrong type.
const (
	wantedTable    = "a table"
	wantedTables   = "a list of tables"
	wantedString   = "a string"
	wantedInteger  = "an integer"
	wantedBoolean  = "true or false"
	wantedDuration = `a duration such as "250ms", "2s" or "1m30s"`
	wantedStrings  = "a list of strings"
)

// decoder copies the tables of a parsed TOML document into a Config by the toml tags of its fields. The TOML library
// stops at the first value that does not fit; this notes each of them, and each key that no field has.
type decoder struct {
	reporter *reporter
}

// table decodes one table into a struct. Keys that are not given leave their fields alone.
func (d decoder) table(path string, given map[string]any, into reflect.Value) {
	fields := map[string]reflect.Value{}
	for i := range into.NumField() {
		if key := into.Type().Field(i).Tag.Get("toml"); key != "-" {
			fields[key] = into.Field(i)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		keyPath := joinPath(path, key)
		if field, ok := fields[key]; ok {
			d.value(keyPath, given[key], field)
		} else {
			d.reporter.bad(keyPath, "an unknown key", "one of "+strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
	}
}

// value decodes one value into a field of a struct or an element of a list.
func (d decoder) value(path string, given any, into reflect.Value) {
	switch target := into.Addr().Interface().(type) {
	case *Secret:
		text, ok := given.(string)
		if !ok {
			d.reporter.bad(path, "something else", wantedString) // whatever it is, it may be the secret
			return
		}
		*target = NewSecret(text)
	case *time.Duration:
		text, ok := given.(string)
		duration, err := time.ParseDuration(text)
		if !ok || err != nil {
			d.reporter.bad(path, describe(given), wantedDuration)
			return
		}
		*target = duration
	case encoding.TextUnmarshaler:
		text, ok := given.(string)
		if number, isNumber := given.(int64); isNumber {
			text, ok = strconv.FormatInt(number, 10), true
		}
		if !ok {
			d.reporter.bad(path, describe(given), wantedString)
		} else if err := target.UnmarshalText([]byte(text)); err != nil {
			d.reporter.bad(path, describe(given), err.Error())
		}
	default:
		d.plain(path, given, into)
	}
}

// plain decodes a value whose type is not one of ours.
func (d decoder) plain(path string, given any, into reflect.Value) {
	switch into.Kind() {
	case reflect.String:
		if text, ok := given.(string); ok {
			into.SetString(text)
			return
		}
		d.reporter.bad(path, describe(given), wantedString)
	case reflect.Int:
		if number, ok := given.(int64); ok && !into.OverflowInt(number) {
			into.SetInt(number)
			return
		}
		d.reporter.bad(path, describe(given), wantedInteger)
	case reflect.Bool:
		if yes, ok := given.(bool); ok {
			into.SetBool(yes)
			return
		}
		d.reporter.bad(path, describe(given), wantedBoolean)
	case reflect.Struct:
		if table, ok := given.(map[string]any); ok {
			d.table(path, table, into)
			return
		}
		d.reporter.bad(path, describe(given), wantedTable)
	case reflect.Slice:
		d.list(path, given, into)
	default:
		panic(fmt.Sprintf("cannot decode %s: no rule for %s", path, into.Type()))
	}
}

// defaulter is an element of a list of tables that has defaults of its own.
type defaulter interface{ SetDefaults() }

// list decodes a list in place of what the field held before.
func (d decoder) list(path string, given any, into reflect.Value) {
	elements, ok := listOf(given)
	_, ofTables := reflect.New(into.Type().Elem()).Interface().(defaulter)
	if !ok {
		wanted := wantedStrings
		if ofTables {
			wanted = wantedTables
		}
		d.reporter.bad(path, describe(given), wanted)
		return
	}
	result := reflect.MakeSlice(into.Type(), 0, len(elements))
	for i, element := range elements {
		decoded := reflect.New(into.Type().Elem())
		elementPath := path // an element of a plain list has no key of its own
		if ofTables {
			decoded.Interface().(defaulter).SetDefaults()
			elementPath = path + "[" + strconv.Itoa(i) + "]"
		}
		problems := d.reporter.count()
		d.value(elementPath, element, decoded.Elem())
		if ofTables || d.reporter.count() == problems {
			result = reflect.Append(result, decoded.Elem())
		}
	}
	into.Set(result)
}

// listOf returns the elements of a list of values or of tables.
func listOf(given any) ([]any, bool) {
	switch list := given.(type) {
	case []any:
		return list, true
	case []map[string]any:
		elements := make([]any, len(list))
		for i, table := range list {
			elements[i] = table
		}
		return elements, true
	}
	return nil, false
}

// describe says what was given where another type is wanted.
func describe(given any) string {
	switch v := given.(type) {
	case string:
		return strconv.Quote(v)
	case int64:
		return strconv.FormatInt(v, 10) + " (an integer)"
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64) + " (a number with a point)"
	case bool:
		return strconv.FormatBool(v) + " (a boolean)"
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	}
	return "a list"
}
