package config

// Parse reads the text of the file called name, without an environment.
func Parse(name string, text []byte) (*Config, error) { return parse(name, text, nil, "") }
