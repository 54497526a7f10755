// Package config reads recall-milter.toml.
package config
