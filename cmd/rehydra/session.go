package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rehydra/jvmroute"
)

// sessionQuery is what "rehydra session" was asked.
type sessionQuery struct {
	id        string
	config    string // a file that names the admin listener, or
	admin     string // its host:port
	pool, app string // "" = all
	json      bool
}

// sessionPatience bounds the whole of it; the server gives up asking its nodes before that.
const sessionPatience = locateTimeout + 5*time.Second

// newSessionCommand returns "rehydra session ID".
func newSessionCommand() *cobra.Command {
	var q sessionQuery
	cmd := &cobra.Command{
		Use:   "session ID [--config FILE | --admin HOST:PORT]",
		Short: "Tell where a session lives: its owner, its version, its copies; never its contents",
		Long: "Asks a running rehydra where a session lives. ID is a session id, with or without its route. Without --config and --admin the\n" +
			"admin listener is looked for where it is by default.",
		Args: func(_ *cobra.Command, args []string) error { return q.setID(args) },
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return q.checkAdmin(cmd.Flags().Changed("admin"))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return q.run(cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&q.config, "config", "", "the configuration `FILE` of the rehydra to ask")
	flags.StringVar(&q.admin, "admin", DefaultConfig().Admin.Listen, "`HOST:PORT` of its admin listener")
	flags.StringVar(&q.pool, "pool", "", "look in this pool only")
	flags.StringVar(&q.app, "app", "", "look in this app only, such as localhost/shop")
	flags.BoolVar(&q.json, "json", false, "print what GET /api/sessions/ID answers")
	cmd.MarkFlagsMutuallyExclusive("config", "admin")
	return cmd
}

func (q *sessionQuery) setID(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("given %d session ids, wanted one", len(args))
	}
	if !jvmroute.Valid([]byte(args[0])) {
		return fmt.Errorf("given %.50q, wanted a session id: 1 to %d letters, digits and -._~!*+=: beginning with no dot", args[0], jvmroute.MaxIDLength)
	}
	q.id = args[0]
	return nil
}

func (q *sessionQuery) checkAdmin(given bool) error {
	if given && badAddress(q.admin, 1) {
		return fmt.Errorf(`--admin: given %q, wanted "host:port"`, q.admin)
	}
	return nil
}

// run asks and prints. Its error is Problems of the configuration file, or says why there is no session to tell of.
func (q *sessionQuery) run(out io.Writer) error {
	address := q.admin
	if q.config != "" {
		var err error
		if address, err = adminAddress(q.config); err != nil {
			return err
		}
	}
	status, body, err := q.ask(address)
	if err != nil {
		return err
	}
	var view sessionsView
	if err := json.Unmarshal(body, &view); err != nil {
		return fmt.Errorf("cannot read the answer of %s, status %d: it is not the admin listener of a rehydra that knows this command", address, status)
	}
	if q.json {
		if _, err := out.Write(body); err != nil {
			return fmt.Errorf("cannot print: %w", err)
		}
	}
	if status != http.StatusOK {
		return errors.New(view.problem(status))
	}
	if q.json {
		return nil
	}
	return view.print(out)
}

// maxSessionAnswer is above what the API says of one id: 64 nodes in a few hundred apps.
const maxSessionAnswer = 16 << 20

// ask asks the admin listener at address.
func (q *sessionQuery) ask(address string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), sessionPatience)
	defer cancel()
	query := url.Values{}
	for name, value := range map[string]string{"pool": q.pool, "app": q.app} {
		if value != "" {
			query.Set(name, value)
		}
	}
	target := url.URL{Scheme: "http", Host: address, Path: "/api/sessions/" + q.id, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return 0, nil, fmt.Errorf("cannot ask %s: %w", address, err)
	}
	// No proxy of the environment: the id is a secret, and the listener is near.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the URL, which holds the id
		}
		return 0, nil, fmt.Errorf("cannot reach the admin listener at %s: %w", address, err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxSessionAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("cannot read the answer of %s: %w", address, err)
	}
	return response.StatusCode, body, nil
}

// adminAddress returns where the rehydra of a configuration file has its admin listener.
func adminAddress(file string) (string, error) {
	cfg, _, err := LoadConfig(file)
	if err != nil {
		return "", err
	}
	listen := cfg.Admin.Listen
	if listen == "" {
		return "", fmt.Errorf("cannot ask the rehydra of %s: its admin listener is off (admin.listen is \"\")", file)
	}
	if strings.HasPrefix(listen, systemdPrefix) {
		return "", fmt.Errorf("cannot tell the address of admin.listen %q, which systemd opens: take the one from the event \"ready\" in the log, with --admin", listen)
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("cannot use admin.listen %q: %w", listen, err)
	}
	if port == "0" {
		return "", fmt.Errorf("cannot tell the port of admin.listen %q: take the one from the event \"ready\" in the log, with --admin", listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // it listens everywhere, here too
	}
	return net.JoinHostPort(host, port), nil
}

// problem is why there is no session, and where it was looked for.
func (v *sessionsView) problem(status int) string {
	sentence := printable(v.Error)
	if sentence == "" {
		sentence = fmt.Sprintf("the admin listener answers with status %d", status)
	}
	if len(v.Asked) == 0 {
		return sentence
	}
	places := make([]string, len(v.Asked))
	for i, a := range v.Asked {
		places[i] = printable(a.Pool + ":" + a.App)
	}
	return sentence + "\nlooked in " + strings.Join(places, ", ") + "; --app looks in another app"
}
