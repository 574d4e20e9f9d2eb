// Command connect drives a worker of Connect with every method of CloudHut's client. Where the server under test is Kafka, so
// is the worker: what the checks expect is what Kafka Connect answers.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	connect "github.com/cloudhut/connect-client"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"vltava/conformance/report"
)

const (
	// limit is how long a change may take until it is shown.
	limit = 30 * time.Second
	lines = "one\ntwo\nthree\n"
)

var ctx = context.Background()

type (
	settings = map[string]any
	put      = connect.PutConnectorConfigOptions
	restart  = connect.RestartConnectorOptions
	validate = connect.ValidateConnectorConfigOptions
)

func main() {
	check()
	report.Done()
}

func check() {
	w := start()
	defer w.end()
	w.awaitHealth()
	report.Check("the worker tells its version and its cluster", w.tellsItself)
	report.Check("plugins have a type and a version", w.hasPlugins)
	report.Check("settings are validated and described", w.validates)
	report.Check("every mistake in settings is told", w.tellsMistakes)
	report.Check("connectors are created listed and shown", w.creates)
	report.Check("numbers and truth values become texts as they are", w.keepsNumbers)
	report.Check("settings change and with them the tasks", w.changes)
	report.Check("names may hold what a path has to escape", w.escapes)
	report.Check("records pass and their topics are told and forgotten", w.tracksTopics)
	report.Check("connectors pause and resume and stop", w.obeys)
	report.Check("a failed task tells why and is restarted", w.restartsFailed)
	report.Check("running tasks are restarted", w.restartsRunning)
	report.Check("what is not there is told", w.missesConnectors)
	report.Check("settings are refused with a reason", w.refusesSettings)
	report.Check("a setting without a value is refused", w.refusesNull)
	report.Check("sinks are told which topics they may name", w.refusesTopics)
	report.Check("deleted connectors are gone", w.deletes)
}

func (w *worker) tellsItself() {
	root, err := w.GetRoot(ctx)
	report.Must("root", err)
	kafka, err := kgo.NewClient(kgo.SeedBrokers(report.Bootstrap()))
	report.Must("kafka", err)
	defer kafka.Close()
	metadata, err := kadm.NewClient(kafka).BrokerMetadata(ctx)
	report.Must("metadata", err)
	report.Equal("cluster", metadata.Cluster, root.KafkaClusterID)
	report.True("a version", root.Version != "")
	report.True("a commit", root.Commit != "")
}

func (w *worker) hasPlugins() {
	plugins, err := w.GetConnectorPlugins(ctx)
	report.Must("plugins", err)
	kinds := map[string]string{}
	for _, plugin := range plugins {
		report.True(plugin.Class+" has a version", plugin.Version != "")
		report.True(plugin.Class+" is a connector", plugin.Type == "source" || plugin.Type == "sink")
		kinds[plugin.Class] = plugin.Type
	}
	report.Equal("file source", "source", kinds["org.apache.kafka.connect.file.FileStreamSourceConnector"])
	report.Equal("file sink", "sink", kinds["org.apache.kafka.connect.file.FileStreamSinkConnector"])
	report.Equal("mirror", "source", kinds["org.apache.kafka.connect.mirror.MirrorSourceConnector"])
}

func (w *worker) validates() {
	result := w.validated(settings{"name": "any", "file": "any", "topic": "lines"})
	report.Equal("name", "FileStreamSource", result.Name)
	report.Equal("errors", 0, result.ErrorCount)
	groups := "Common,Transforms,Predicates,Error Handling,Topic Creation,Exactly Once Support,offsets.topic"
	report.Equal("groups", groups, strings.Join(result.Groups, ","))
	topic := result.Configs[slices.IndexFunc(result.Configs, func(one connect.ConnectorValidationResultConfig) bool {
		return one.Definition["name"] == "topic"
	})]
	report.Equal("type", "STRING", topic.Definition["type"])
	report.Equal("required", true, topic.Definition["required"])
	report.Equal("value", "lines", topic.Value["value"])
}

func (w *worker) tellsMistakes() {
	result := w.validated(settings{"file": "any", "tasks.max": "x"})
	mistakes := map[any]any{}
	for _, one := range result.Configs {
		if texts := one.Value["errors"].([]any); len(texts) > 0 {
			mistakes[one.Value["name"]] = texts
		}
	}
	report.Equal("errors", 4, result.ErrorCount)
	report.Equal("mistakes", map[any]any{
		"name": []string{`Missing required configuration "name" which has no default value.`},
		"tasks.max": []string{
			"Invalid value x for configuration tasks.max: Not a number of type INT",
			"Invalid value null for configuration tasks.max: Value must be non-null",
		},
		"topic": []string{`Missing required configuration "topic" which has no default value.`},
	}, mistakes)
	_, err := w.PutValidateConnectorConfig(ctx, "FileStreamSink", validate{Config: w.source("lines")})
	refused(400, "Included connector type FileStreamSource does not match request type FileStreamSink", err)
}

func (w *worker) creates() {
	created, err := w.CreateConnector(ctx, connect.CreateConnectorRequest{Name: "first", Config: w.source("first")})
	report.Must("create", err)
	config := map[string]string{
		"connector.class": "FileStreamSource", "file": w.path("in.txt"), "name": "first", "topic": "first",
	}
	info := connect.ConnectorInfo{Name: "first", Config: config, Type: "source"}
	report.Equal("created", info, created)
	w.settled("first", "RUNNING", "RUNNING")

	shown, err := w.GetConnector(ctx, "first")
	report.Must("get", err)
	info.Tasks = []connect.ConnectorTaskID{{Connector: "first", Task: 0}}
	report.Equal("shown", info, shown)
	shownConfig, err := w.GetConnectorConfig(ctx, "first")
	report.Must("config", err)
	report.Equal("config", config, shownConfig)
	status, err := w.GetConnectorStatus(ctx, "first")
	report.Must("status", err)
	running := connect.ConnectorStateInfo{
		Name:      "first",
		Connector: connect.ConnectorState{State: "RUNNING", WorkerID: w.address},
		Tasks:     []connect.TaskState{{ID: 0, State: "RUNNING", WorkerID: w.address}},
		Type:      "source",
	}
	report.Equal("status", running, status)

	w.run("second", w.sink("second", "first"), "RUNNING")
	names, err := w.ListConnectors(ctx)
	report.Must("list", err)
	slices.Sort(names)
	report.Equal("names", []string{"first", "second"}, names)
	expanded, err := w.ListConnectorsExpanded(ctx)
	report.Must("expand", err)
	report.Equal("all", 2, len(expanded))
	report.Equal("the first", connect.ListConnectorsResponseExpanded{Info: info, Status: running}, expanded["first"])
	report.Equal("the second", "sink sink", expanded["second"].Info.Type+" "+expanded["second"].Status.Type)
}

func (w *worker) keepsNumbers() {
	config := w.source("numbers")
	config["tasks.max"], config["tasks.max.enforce"], config["half"] = 1, true, 0.5
	config["exact"], config["long"] = json.Number("1.50"), json.Number("12345678901234567890123")
	info, err := w.put("numbers", config)
	report.Must("put", err)
	kept := []string{"tasks.max", "tasks.max.enforce", "half", "exact", "long"}
	for position, key := range kept {
		kept[position] = info.Config[key]
	}
	report.Equal("texts", "1 true 0.5 1.50 12345678901234567890123", strings.Join(kept, " "))
}

func (w *worker) changes() {
	config := w.sink("changing", "lines")
	info, err := w.put("changing", config)
	report.Must("put", err)
	report.Equal("type", "sink", info.Type)
	report.Equal("name", "changing", info.Config["name"])
	w.settled("changing", "RUNNING", "RUNNING")
	config["tasks.max"] = "2"
	info, err = w.put("changing", config)
	report.Must("put again", err)
	report.Equal("tasks.max", "2", info.Config["tasks.max"])
	w.settled("changing", "RUNNING", "RUNNING", "RUNNING")
	shown, err := w.GetConnector(ctx, "changing")
	report.Must("get", err)
	tasks := []connect.ConnectorTaskID{{Connector: "changing", Task: 0}, {Connector: "changing", Task: 1}}
	report.Equal("tasks", tasks, shown.Tasks)
}

func (w *worker) escapes() {
	name := "a ü?&=+"
	w.run(name, w.source("escaped"), "RUNNING")
	config, err := w.GetConnectorConfig(ctx, name)
	report.Must("config", err)
	report.Equal("name", name, config["name"])
	report.Must("delete", w.DeleteConnector(ctx, name))
}

func (w *worker) tracksTopics() {
	w.run("reads", w.source("tracked"), "RUNNING")
	w.run("writes", w.sink("writes", "tracked"), "RUNNING")
	report.Eventually("all lines are written", limit, func() bool {
		text, err := os.ReadFile(w.path("writes"))
		return err == nil && string(text) == lines
	})
	for _, name := range []string{"reads", "writes"} {
		w.hasTopics(name, "tracked")
		report.Must("reset", w.ResetConnectorTopics(ctx, name))
		w.hasTopics(name)
	}
}

func (w *worker) obeys() {
	w.run("obeys", w.source("obeys"), "RUNNING")
	report.Must("pause", w.PauseConnector(ctx, "obeys"))
	w.settled("obeys", "PAUSED", "PAUSED")
	report.Must("resume", w.ResumeConnector(ctx, "obeys"))
	w.settled("obeys", "RUNNING", "RUNNING")
	report.Must("stop", w.StopConnector(ctx, "obeys"))
	w.settled("obeys", "STOPPED")
	shown, err := w.GetConnector(ctx, "obeys")
	report.Must("get", err)
	report.Equal("tasks", 0, len(shown.Tasks))
	report.Must("resume", w.ResumeConnector(ctx, "obeys"))
	w.settled("obeys", "RUNNING", "RUNNING")
}

func (w *worker) restartsFailed() {
	report.Must("put", second(w.put("fails", w.sink("missing/out", "lines"))))
	task := w.settled("fails", "RUNNING", "FAILED").Tasks[0]
	reason := fmt.Sprintf("Couldn't find or create file '%s' for FileStreamSinkTask", w.path("missing/out"))
	report.True("its trace has the reason", strings.Contains(task.Trace, reason))
	report.Must("folder", os.Mkdir(w.path("missing"), 0o700))
	report.Must("restart of the connector", w.RestartConnector(ctx, "fails", restart{}))
	report.Must("restart if it failed", w.RestartConnector(ctx, "fails", restart{OnlyFailed: true}))
	w.settled("fails", "RUNNING", "FAILED")
	report.Must("restart of the task", w.RestartConnectorTask(ctx, "fails", 0))
	report.Equal("trace", "", w.settled("fails", "RUNNING", "RUNNING").Tasks[0].Trace)

	w.run("fails", w.sink("absent/out", "lines"), "FAILED")
	report.Must("folder", os.Mkdir(w.path("absent"), 0o700))
	report.Must("restart of what failed", w.RestartConnector(ctx, "fails", restart{IncludeTasks: true, OnlyFailed: true}))
	w.settled("fails", "RUNNING", "RUNNING")
}

// restartsRunning takes a new file for a new task: the old one has its file open.
func (w *worker) restartsRunning() {
	renewed := func(what string, renew func() error) {
		w.settled("runs", "RUNNING", "RUNNING")
		report.Must("remove", os.Remove(w.path("runs")))
		report.Must(what, renew())
		report.Eventually(what, limit, func() bool {
			_, err := os.Stat(w.path("runs"))
			return err == nil
		})
	}
	w.run("runs", w.sink("runs", "lines"), "RUNNING")
	renewed("restart with tasks", func() error { return w.RestartConnector(ctx, "runs", restart{IncludeTasks: true}) })
	renewed("restart of a task", func() error { return w.RestartConnectorTask(ctx, "runs", 0) })
}

func (w *worker) missesConnectors() {
	refused(404, "Connector none not found", second(w.GetConnector(ctx, "none")))
	refused(404, "Connector none not found", second(w.GetConnectorConfig(ctx, "none")))
	refused(404, "No status found for connector none", second(w.GetConnectorStatus(ctx, "none")))
	refused(404, "Unknown connector none", w.PauseConnector(ctx, "none"))
	refused(404, "Unknown connector none", w.ResumeConnector(ctx, "none"))
	refused(404, "Unknown connector none", w.StopConnector(ctx, "none"))
	refused(404, "Unknown connector: none", w.RestartConnector(ctx, "none", restart{}))
	refused(404, "Unknown connector: none", w.RestartConnector(ctx, "none", restart{IncludeTasks: true}))
	refused(404, "Unknown connector: none", w.RestartConnectorTask(ctx, "none", 0))
	refused(404, "Connector none not found", w.DeleteConnector(ctx, "none"))
	w.run("few", w.source("few"), "RUNNING")
	refused(404, "Unknown task: few-7", w.RestartConnectorTask(ctx, "few", 7))
	// Nobody has used topics for it.
	w.hasTopics("none")
	report.Must("reset", w.ResetConnectorTopics(ctx, "none"))
}

func (w *worker) refusesSettings() {
	w.run("taken", w.source("taken"), "RUNNING")
	refused(409, "Connector taken already exists", w.create("taken", w.source("taken")))
	renamed := second(w.put("taken", with(w.source("taken"), "name", "other")))
	refused(400, "Connector name configuration (other) doesn't match connector name in the URL (taken)", renamed)
	few := "Invalid value 0 for configuration tasks.max: Value must be at least 1"
	refused(400, invalid(few), w.create("bad", with(w.source("bad"), "tasks.max", "0")))
	var refusal connect.ApiError
	report.True("it is refused", errors.As(w.create("bad", settings{"connector.class": "None"}), &refusal))
	report.Equal("code", 400, refusal.ErrorCode)
	reason := "Failed to find any class that implements Connector and which name matches None"
	report.True("the class is named", strings.Contains(refusal.Message, reason))
}

func (w *worker) refusesNull() {
	reason := invalid("Null value can not be supplied as the configuration value.")
	refused(400, reason, w.create("null", with(w.source("null"), "key.converter", nil)))
	refused(400, reason, second(w.put("null", with(w.source("null"), "any", nil))))
}

func (w *worker) refusesTopics() {
	none := "Must configure one of topics or topics.regex"
	refused(400, invalid(none, none), w.create("bad", with(w.sink("bad", "a"), "topics", "")))
	both := "topics and topics.regex are mutually exclusive options, but both are set."
	refused(400, invalid(both, both), w.create("bad", with(w.sink("bad", "a"), "topics.regex", "b")))
	letters := "The DLQ topic 'a' may not be included in the list of topics ('topics=[a]') consumed by the connector"
	refused(400, invalid(letters), w.create("bad", with(w.sink("bad", "a"), "errors.deadletterqueue.topic.name", "a")))
}

func (w *worker) deletes() {
	w.run("ends", w.source("ends"), "RUNNING")
	report.Must("delete", w.DeleteConnector(ctx, "ends"))
	refused(404, "Connector ends not found", second(w.GetConnector(ctx, "ends")))
	refused(404, "Connector ends not found", w.DeleteConnector(ctx, "ends"))
	names, err := w.ListConnectors(ctx)
	report.Must("list", err)
	report.True("it is not listed", !slices.Contains(names, "ends"))
	report.Eventually("its state is forgotten", limit, func() bool {
		var refusal connect.ApiError
		return errors.As(second(w.GetConnectorStatus(ctx, "ends")), &refusal) && refusal.ErrorCode == 404
	})
	w.run("ends", w.source("ends"), "RUNNING")
}

// refused fails the check unless err is the worker's refusal with this code and text.
func refused(code int, message string, err error) {
	var refusal connect.ApiError
	report.True("a refusal: "+message, errors.As(err, &refusal))
	report.Equal("refusal", connect.ApiError{ErrorCode: code, Message: message}, refusal)
}

// invalid is what a worker says of settings with these mistakes.
func invalid(mistakes ...string) string {
	return fmt.Sprintf("Connector configuration is invalid and contains the following %d error(s):\n%s\n"+
		"You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`",
		len(mistakes), strings.Join(mistakes, "\n"))
}

func second[T any](_ T, err error) error { return err }

// with is config after key was set in it.
func with(config settings, key string, value any) settings {
	config[key] = value
	return config
}

func (w *worker) source(topic string) settings {
	return settings{"connector.class": "FileStreamSource", "file": w.path("in.txt"), "topic": topic}
}

func (w *worker) sink(file, topic string) settings {
	return settings{"connector.class": "FileStreamSink", "file": w.path(file), "topics": topic}
}

func (w *worker) validated(source settings) connect.ConnectorValidationResult {
	config := with(source, "connector.class", "FileStreamSource")
	result, err := w.PutValidateConnectorConfig(ctx, "FileStreamSource", validate{Config: config})
	report.Must("validate", err)
	return result
}

func (w *worker) create(name string, config settings) error {
	return second(w.CreateConnector(ctx, connect.CreateConnectorRequest{Name: name, Config: config}))
}

func (w *worker) put(name string, config settings) (connect.ConnectorInfo, error) {
	return w.PutConnectorConfig(ctx, name, put{Config: config})
}

// run gives a connector its settings, and waits until its only task is in a state.
func (w *worker) run(name string, config settings, task string) {
	report.Must("put "+name, second(w.put(name, config)))
	w.settled(name, "RUNNING", task)
}

// settled waits until a connector and all of its tasks are in these states.
func (w *worker) settled(name, state string, tasks ...string) (status connect.ConnectorStateInfo) {
	// Kept as context, should it not happen.
	defer func() { fmt.Printf("%+v\n", status) }()
	report.Eventually(fmt.Sprintf("%s is %s with tasks %v", name, state, tasks), limit, func() bool {
		var err error
		status, err = w.GetConnectorStatus(ctx, name)
		var states []string
		for _, task := range status.Tasks {
			states = append(states, task.State)
		}
		return err == nil && status.Connector.State == state && slices.Equal(states, tasks)
	})
	return status
}

// hasTopics waits until these are the topics that a connector has used.
func (w *worker) hasTopics(name string, topics ...string) {
	report.Eventually(fmt.Sprintf("the topics of %s are %v", name, topics), limit, func() bool {
		shown, err := w.GetConnectorTopics(ctx, name)
		return err == nil && len(shown) == 1 && slices.Equal(shown[name].Topics, topics)
	})
}

// worker is a process, the client of its API, and a folder for connectors.
type worker struct {
	*connect.Client
	address string
	process *os.Process
}

func (w *worker) path(file string) string { return filepath.Join(os.Getenv("WORK"), file) }

func start() *worker {
	w := &worker{address: freeAddress()}
	w.Client = connect.NewClient(connect.WithHost("http://"+w.address), connect.WithTimeout(limit))
	report.Must("lines", os.WriteFile(w.path("in.txt"), []byte(lines), 0o600))
	file := w.path("worker.properties")
	report.Must("settings", os.WriteFile(file, []byte(w.settings()), 0o600))
	command := exec.Command(os.Getenv("BINARY"), "connect", file)
	if os.Getenv("TARGET") == "kafka" {
		libraries := os.Getenv("CONNECT_LIBRARIES") + "/*"
		command = exec.Command("java", "-Xmx320M", "-cp", libraries, "org.apache.kafka.connect.cli.ConnectDistributed", file)
	}
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	report.Must("worker", command.Start())
	w.process = command.Process
	return w
}

func (w *worker) awaitHealth() {
	report.Eventually("the worker is healthy", 2*limit, func() bool {
		answer, err := http.Get("http://" + w.address + "/health")
		return err == nil && answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
	})
}

func (w *worker) end() {
	report.Must("kill", w.process.Kill())
	_, err := w.process.Wait()
	report.Must("end", err)
}

func (w *worker) settings() string {
	host, _, _ := net.SplitHostPort(w.address)
	return strings.Join([]string{
		"bootstrap.servers=" + report.Bootstrap(),
		"listeners=http://" + w.address,
		"rest.advertised.host.name=" + host,
		"group.id=connect",
		"key.converter=org.apache.kafka.connect.storage.StringConverter",
		"value.converter=org.apache.kafka.connect.storage.StringConverter",
		"config.storage.topic=connect-configs",
		"config.storage.replication.factor=1",
		"offset.storage.topic=connect-offsets",
		"offset.storage.replication.factor=1",
		"offset.storage.partitions=1",
		"status.storage.topic=connect-status",
		"status.storage.replication.factor=1",
		"status.storage.partitions=1",
	}, "\n")
}

func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	report.Must("port", err)
	defer listener.Close()
	return listener.Addr().String()
}
