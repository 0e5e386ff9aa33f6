// Command conformance plays Rehydra's part of the session protocol against a backend and says, check by check, whether
// the backend's adapter keeps to it. README.md says what the backend has to offer.
//
//	go run ./adapters/conformance --url http://127.0.0.1:8081/conformance --token secret
//
// Exit status: 0 all checks passed, 1 some failed, 2 bad usage or a backend that cannot be tested.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"rehydra/adapters/conformance/checks"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var t checks.Target
	var only string
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&t.URL, "url", "", "the test application, such as http://127.0.0.1:8081/conformance (wanted)")
	flags.StringVar(&t.Token, "token", "", "the token that the adapter holds (wanted)")
	flags.StringVar(&t.Cookie, "cookie", "JSESSIONID", "the session cookie's name")
	flags.IntVar(&t.InlineLimit, "inline-limit", 4096, "the adapter's limit for a state in a head, in bytes")
	flags.DurationVar(&t.Timeout, "timeout", 10*time.Second, "how long one request may take")
	flags.StringVar(&only, "only", "", "run only the checks whose names begin so, such as restore/")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := validate(t, flags.Args()); err != nil {
		fmt.Fprintln(errOut, err)
		return 2
	}
	var chosen []checks.Check
	for _, c := range checks.All() {
		if strings.HasPrefix(c.Name, only) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		fmt.Fprintf(errOut, "no check's name begins with %q\n", only)
		return 2
	}
	return judge(ctx, t, chosen, out, errOut)
}

func validate(t checks.Target, rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("argument %q given, wanted only flags", rest[0])
	}
	if u, err := url.Parse(t.URL); err != nil || u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("--url %q given, wanted a URL such as http://127.0.0.1:8081/conformance", t.URL)
	}
	if t.Token == "" {
		return fmt.Errorf("no --token given, wanted the one that the adapter holds")
	}
	return nil
}

// judge runs the checks, prints a line for each and a sum, and returns the exit status.
func judge(ctx context.Context, t checks.Target, chosen []checks.Check, out, errOut io.Writer) int {
	var passed, failed, without int
	err := checks.Run(ctx, t, chosen, func(r checks.Result) {
		switch {
		case r.Passed():
			passed++
			fmt.Fprintf(out, "PASS  %-24s %s\n", r.Name, r.Rule)
		case r.NotApplicable:
			without++
			fmt.Fprintf(out, "n/a   %-24s %s\n", r.Name, r.Reason)
		default:
			failed++
			fmt.Fprintf(out, "FAIL  %-24s %s\n      %s\n", r.Name, r.Rule, r.Reason)
		}
	})
	if err != nil {
		fmt.Fprintln(errOut, err)
		return 2
	}
	fmt.Fprintf(out, "\n%d passed, %d failed, %d not applicable\n", passed, failed, without)
	if failed > 0 {
		return 1
	}
	return 0
}
