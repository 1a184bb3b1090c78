package config

import "os"

// Env looks up a variable and tells whether it is set. The nil Env has none.
type Env func(key string) (value string, ok bool)

// OSEnv is the environment of this process.
func OSEnv() Env { return os.LookupEnv }

// MapEnv is an environment of fixed variables.
func MapEnv(variables map[string]string) Env {
	return func(key string) (string, bool) {
		v, ok := variables[key]
		return v, ok
	}
}

// Overlay is an environment in which the first that has a variable wins.
func Overlay(envs ...Env) Env {
	return func(key string) (string, bool) {
		for _, e := range envs {
			if v, ok := e.lookup(key); ok {
				return v, true
			}
		}
		return "", false
	}
}

func (e Env) lookup(key string) (string, bool) {
	if e == nil {
		return "", false
	}
	return e(key)
}
