package tomcat

import "context"

// MSM returns the paths of the jars that memcached-session-manager's own set-up page asks for on Tomcat 9, for Config.Lib.
func MSM(ctx context.Context) (paths []string, err error) {
	for _, jar := range []Artifact{
		{Coordinates: "de.javakaffee.msm:memcached-session-manager:2.3.2", SHA256: "c3b9c42e75349a8195a1007d7fa50dffe019b1b3858a872e8ea50a3c6ae7aba2"},
		{Coordinates: "de.javakaffee.msm:memcached-session-manager-tc9:2.3.2", SHA256: "8b8135c3ff1420191434d5e3f4185a29b39cd39e8072fc62f6e1980339ed97dd"},
		{Coordinates: "net.spy:spymemcached:2.12.3", SHA256: "133092565f8308b9bcbfce83909d11f505d4094b856ead24e299ac93679bb4e2"},
	} {
		path, err := jar.Fetch(ctx)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
