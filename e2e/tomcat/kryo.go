package tomcat

import (
	"context"
	"fmt"
	"path/filepath"
)

// KryoJar returns the serializer "kryo" for Config.Lib, one jar for every release. Maven builds it with the adapters.
func KryoJar(ctx context.Context) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	if _, err := adapterJar(ctx, Tomcat9); err != nil {
		return "", err
	}
	pattern := filepath.Join(root, "adapters", "tomcat", "kryo", "target", "rehydra-tomcat-kryo-*.jar")
	jar, _ := newest(pattern)
	if jar == "" {
		return "", fmt.Errorf("cannot build the serializer: Maven left no %s", pattern)
	}
	return jar, nil
}
