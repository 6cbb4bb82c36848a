#!/usr/bin/env bash
# The example exchanges and the error forms of Mission Control, by curl: what goes over the wire, to be read and
# repeated by hand. It needs a running `mission-control-runtime local --seed demo` and what that prints:
#
#   CONVEX_URL=http://… ACCOUNT_ID=… SERVICE_TOKEN=… ADMIN_KEY=… tests/peers/curl.sh
#
# REDACTED=yes if the server was started with `--redact`: then errors come without their reasons. SHOW=yes prints each
# answer. One line per check; the last line counts; the exit code is 0 only if all passed.
set -uo pipefail
: "${CONVEX_URL:?}" "${ACCOUNT_ID:?}" "${SERVICE_TOKEN:?}" "${ADMIN_KEY:?}"
redacted=${REDACTED:-}

passed=0
failed=0
answer=

# post PATH BODY [CURL OPTION…]: the answer's body, and its status in a line of its own.
post() {
    local path=$1 body=$2
    shift 2
    answer=$(curl --silent --show-error --noproxy '*' --max-time 60 --write-out '\n%{http_code}' \
        --header 'Content-Type: application/json' "$@" --data-binary "$body" "$CONVEX_URL$path" 2>&1)
}

# service FUNCTION ["MORE":"ARGUMENTS"]: a service function, as the TypeScript runtime sends it.
service() {
    local args="\"accountId\":\"$ACCOUNT_ID\",\"serviceToken\":\"$SERVICE_TOKEN\"${2:+,$2}"
    post /api/action "{\"path\":\"service/actions:$1\",\"format\":\"convex_encoded_json\",\"args\":[{$args}]}" \
        --header 'Convex-Client: npm-1.31.7'
}

# expect NAME PATTERN…: each extended regular expression matches some line of the answer; no secret is in it.
expect() {
    local name=$1 pattern why=
    shift
    for pattern; do
        grep -qE -e "$pattern" <<<"$answer" || why="no $pattern"
    done
    if grep -qF -e "$SERVICE_TOKEN" -e "$ADMIN_KEY" <<<"$answer"; then why='a secret in the answer'; fi
    if [ -z "$why" ]; then
        passed=$((passed + 1))
        echo "ok    $name"
    else
        failed=$((failed + 1))
        echo "FAIL  $name: $why in: ${answer:0:600}" | sed -e "s/$SERVICE_TOKEN/***/g" -e "s/$ADMIN_KEY/***/g"
    fi
    if [ -n "${SHOW:-}" ]; then printf '      %s\n' "$answer"; fi
}

# fields NAME…: a pattern for each field.
fields() { printf '"%s":\n' "$@"; }

# refused NAME REASON: a function's error, with the reason after the first line, or without any if redacted.
refused() {
    local reason=${2:+\\\\n$2}
    if [ -n "$redacted" ]; then reason=; fi
    expect "$1" "^\{\"errorMessage\":\"\[Request ID: [0-9a-f]{16}\] Server Error$reason\",\"status\":\"error\"\}$" '^200$'
}

# The first id of a table in the answer; its first two letters say which table.
first_id() { grep -oE -e "\"_id\":\"$1[0-9a-z]+\"" <<<"$answer" | head -n 1 | cut -d '"' -f 4; }

# What goes well (contract 3.8)

service updateRuntimeStatus '"status":"online","config":{"dropletId":"unknown","ipAddress":"unknown","region":"unknown","lastHealthCheck":1765526400000,"openclawVersion":"2026.2.1","runtimeServiceVersion":"1.2.1"}'
expect 'updateRuntimeStatus' '^\{"status":"success","value":\{"success":true\}\}$' '^200$'

mapfile -t of_agent < <(fields _id _creationTime accountId name slug role status heartbeatInterval icon soulContent \
    openclawConfig model maxTokens skillIds contextConfig behaviorFlags createdAt systemSessionKey effectiveBehaviorFlags)
service listAgents
expect 'listAgents' '^\{"status":"success","value":\[\{' "${of_agent[@]}" '^200$'
expect 'numbers are floats' '"createdAt":[0-9]{13}\.0[,}]' '"_creationTime":[0-9]{13}\.[0-9]+,' '"maxTokens":4096\.0,'
expect 'session keys' "\"systemSessionKey\":\"system:agent:engineer:$ACCOUNT_ID:v1\""
agent=$(first_id js)

mapfile -t of_profile < <(fields _id name slug role openclawConfig effectiveSoulContent effectiveUserMd \
    effectiveIdentityContent resolvedSkills contentMarkdown)
service listAgentsForRuntime
expect 'listAgentsForRuntime' '^\{"status":"success","value":\[\{' "${of_profile[@]}" '^200$'

service listUndeliveredNotifications '"limit":50'
expect 'listUndeliveredNotifications' '"recipientType":"agent"' '"type":"assignment"' '^200$'
notification=$(first_id jn)
task=$(grep -oE -e '"taskId":"[0-9a-z]+"' <<<"$answer" | head -n 1 | cut -d '"' -f 4)

mapfile -t of_context < <(fields notification agent task message thread sourceNotificationType orchestratorAgentId \
    primaryUserMention mentionableAgents assignedAgents effectiveBehaviorFlags deliverySessionKey repositoryDoc \
    globalBriefingDoc taskOverview)
service getNotificationForDelivery "\"notificationId\":\"$notification\""
expect 'getNotificationForDelivery' '^\{"status":"success","value":\{' "${of_context[@]}" '^200$'

# What a function refuses (contract 1.4)

stack='\\n    at handler \(\.\./convex/service/actions\.ts:1:1\)\\n'
service updateTaskStatusFromAgent "\"taskId\":\"$task\",\"agentId\":\"$agent\",\"status\":\"done\""
refused 'a throw' "Uncaught Error: Forbidden: Task must be in review before marking done$stack"

post /api/action "{\"path\":\"service/actions:listAgents\",\"args\":{\"accountId\":\"$ACCOUNT_ID\",\"serviceToken\":\"mc_service_${ACCOUNT_ID}_wrong\"}}"
refused 'a wrong token' "Uncaught Error: Invalid service token$stack"

service getTaskForAgentTool "\"agentId\":\"$agent\",\"taskId\":\"abc\""
refused 'arguments: no id' 'ArgumentValidationError: Value does not match validator\.\\nPath: \.taskId\\nValue: \\"abc\\"\\nValidator: v\.id\(\\"tasks\\"\)\\n'

service getTaskForAgentTool "\"agentId\":\"$agent\",\"taskId\":\"$agent\""
# The backticks are the platform's.
# shellcheck disable=SC2016
refused 'arguments: the id of another table' 'ArgumentValidationError: Found ID \\"[0-9a-z]+\\" from table `agents`, which does not match the table name in validator `v\.id\(\\"tasks\\"\)`.*'

service getTaskForAgentTool "\"agentId\":\"$agent\""
# shellcheck disable=SC2016
refused 'arguments: a missing field' 'ArgumentValidationError: Object is missing the required field `taskId`.*'

service listAgents '"extra":1'
# shellcheck disable=SC2016
refused 'arguments: an extra field' 'ArgumentValidationError: Object contains extra field `extra` that is not in the validator\..*'

service noSuchFunction
refused 'an unknown function' "Could not find public function for 'service/actions:noSuchFunction'.*"

post /api/query '{"path":"service/actions:listAgents","args":{}}'
refused 'another kind of function' 'Trying to execute service/actions\.js:listAgents as Query, but it is defined as Action\.\\n'

# What people do, with the admin key; it must not be closed to them, nor open to others

post /api/query "{\"path\":\"tasks:get\",\"args\":{\"accountId\":\"$ACCOUNT_ID\",\"taskId\":\"$task\"}}" --header "Authorization: Convex $ADMIN_KEY"
expect 'a person reads a task' '^\{"status":"success","value":\{' "\"_id\":\"$task\"" '^200$'

post /api/query "{\"path\":\"tasks:get\",\"args\":{\"accountId\":\"$ACCOUNT_ID\",\"taskId\":\"$task\"}}"
refused 'nobody else does' "Uncaught Error: Unauthenticated: No valid identity found$stack"

# What the platform refuses before any function: the same on every deployment

post /api/action '{"path":'
expect 'no JSON' '^\{"code":"BadJsonBody",' '^400$'
post /api/action '{}' --header 'Content-Type: text/plain'
expect 'not sent as JSON' '^\{"code":"BadJsonBody",' '^400$'
post /api/action '{}' --header 'Convex-Client: nonsense'
expect 'a client without a version' '^\{"code":"InvalidClientVersion",' '^400$'
post /api/query '{}' --header 'Authorization: Convex wrong-key'
expect 'a wrong admin key' '^\{"code":"BadDeployKey",' '^403$'
post /api/query '{}' --header 'Authorization: Bearer e30.e30.e30'
expect 'a user who is not known' '^\{"code":"InvalidAuthHeader",' '^401$'
post /api/nothing '{}'
expect 'no such route' '^$' '^404$'
post /api/action '{}' --header 'Host: example.com'
expect 'a foreign host' '^\{"code":"ForeignHost",' '^403$'
post /api/action '{}' --header 'Origin: https://example.com'
expect 'a foreign page' '^\{"code":"ForeignOrigin",' '^403$'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
