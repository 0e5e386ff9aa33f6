package tomcat

import "context"

// Command lays a Tomcat out in dir, which must be empty, and returns the program that runs it there in the foreground. It is for those who start and
// stop processes themselves; tests use Start. Its ports are on the loopback.
func Command(ctx context.Context, c Config, dir string, port, ajpPort int) (program string, args []string, err error) {
	home, err := Fetch(ctx, c.Release)
	if err != nil {
		return "", nil, err
	}
	s := &Server{Config: c, Port: port, AJPPort: ajpPort, base: base{dir: dir, home: home}}
	if err := s.base.write(ctx, c, port, ajpPort); err != nil {
		return "", nil, err
	}
	return "java", s.arguments(), nil
}
