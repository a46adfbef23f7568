// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package token

import (
	"bytes"
	"crypto/subtle"
	"encoding/csv"
	"fmt"
	"os"

	"holdfast.internal/k3s/internal/wire"
)

// Role is what a user of basic authentication may do.
type Role string

// The two roles. A server's credentials do for whatever an agent's do.
const (
	RoleAgent  Role = "k3s:agent"
	RoleServer Role = "k3s:server"
)

// Users is the content of cred/passwd: two users, each with one password.
type Users struct {
	ServerPassword string
	AgentPassword  string
}

// LoadUsers reads cred/passwd. The supervisor does so once, at its start: after `token rotate` a server goes on with the
// old secret until it is restarted.
func LoadUsers(path string) (Users, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Users{}, err
	}
	users, err := ParseUsers(content)
	if err != nil {
		return Users{}, fmt.Errorf("%s: %w", path, err)
	}
	return users, nil
}

// ParseUsers reads the lines "password,name,id,role".
func ParseUsers(content []byte) (Users, error) {
	reader := csv.NewReader(bytes.NewReader(content))
	reader.FieldsPerRecord = -1
	records, err := reader.ReadAll()
	if err != nil {
		return Users{}, err
	}
	var users Users
	for number, record := range records {
		const fields = 3
		if len(record) < fields {
			return Users{}, fmt.Errorf("line %d: expected password, user name, user id and role", number+1)
		}
		switch record[1] {
		case wire.UserServer:
			users.ServerPassword = record[0]
		case wire.UserNode:
			users.AgentPassword = record[0]
		}
	}
	if users.ServerPassword == "" || users.AgentPassword == "" {
		return Users{}, fmt.Errorf("the users %q and %q must both be there", wire.UserServer, wire.UserNode)
	}
	return users, nil
}

// Encode is the opposite of ParseUsers; equal users give equal bytes.
func (u Users) Encode() []byte {
	var content bytes.Buffer
	writer := csv.NewWriter(&content)
	// Writing to memory cannot fail.
	_ = writer.Write([]string{u.AgentPassword, wire.UserNode, wire.UserNode, string(RoleAgent)})
	_ = writer.Write([]string{u.ServerPassword, wire.UserServer, wire.UserServer, string(RoleServer)})
	writer.Flush()
	return content.Bytes()
}

// Check tells what a name and password are good for. Agents that were given the server's token in its short form call
// themselves "node" all the same.
func (u Users) Check(username, password string) (Role, bool) {
	isServer := subtle.ConstantTimeCompare([]byte(password), []byte(u.ServerPassword)) == 1
	isAgent := subtle.ConstantTimeCompare([]byte(password), []byte(u.AgentPassword)) == 1
	switch {
	case username == wire.UserServer && isServer:
		return RoleServer, true
	case username == wire.UserNode && (isAgent || isServer):
		return RoleAgent, true
	}
	return "", false
}
