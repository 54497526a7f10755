<?php

/** Says that the gateway gave no answer that can be used: nothing is known of the message. */
class recall_milter_away extends Exception
{
}

/** Asks Recall Milter's API, on behalf of one login. */
class recall_milter_api
{
    /** Seconds for a look, which a page waits for, and for an act or a message, which a person waits for. */
    const LOOK = 3;
    const ACT  = 20;

    /** How many holds are listed at most. */
    const LISTED = 500;

    private $http;
    private $base;
    private $headers;
    private $login;
    private $now; // the gateway's time at its last answer, in seconds since 1970

    public function __construct($http, string $base, string $token, string $login)
    {
        $this->login   = $login;
        $this->http    = $http;
        $this->base    = rtrim($base, '/') . '/api/v1';
        $this->headers = ['Authorization' => 'Bearer ' . $token, 'Recall-On-Behalf-Of' => $login];
    }

    /**
     * Lists what this person has sent and what waits, and not what they see as somebody's delegate.
     *
     * @throws recall_milter_away
     */
    public function waiting(): array
    {
        return array_values(array_filter($this->holds([]), function ($hold) {
            return strcasecmp($hold['login'], $this->login) === 0;
        }));
    }

    /**
     * Lists the holds of a message, in every state.
     *
     * @throws recall_milter_away
     */
    public function of_message(string $id): array
    {
        return $this->holds(['message_id' => $id, 'state' => 'all']);
    }

    private function holds(array $search): array
    {
        $options = ['query' => $search + ['limit' => self::LISTED], 'timeout' => self::LOOK];
        list($status, $answer) = $this->call('GET', '/holds', $options);
        if ($status !== 200 || !isset($answer['holds']) || !is_array($answer['holds'])) {
            throw new recall_milter_away('the list of holds: status ' . $status);
        }
        return $answer['holds'];
    }

    /**
     * Returns who this person is to the gateway, and what they have chosen.
     *
     * @throws recall_milter_away
     */
    public function me(): array
    {
        return $this->call('GET', '/me', ['timeout' => self::LOOK])[1];
    }

    /**
     * Chooses this person's own grace, a duration; empty: the site's. Says whether the gateway agreed.
     *
     * @throws recall_milter_away
     */
    public function choose(string $grace): bool
    {
        return $this->call('PUT', '/me', self::json(['grace' => $grace]))[0] === 200;
    }

    /**
     * Does an act on one hold, and returns the status with the answer: a hold, or a problem.
     *
     * @throws recall_milter_away
     */
    public function act(string $hold, string $act, array $body): array
    {
        return $this->call('POST', '/holds/' . rawurlencode($hold) . '/' . $act, self::json($body));
    }

    private static function json(array $body): array
    {
        $text = json_encode($body, JSON_FORCE_OBJECT | JSON_THROW_ON_ERROR);
        return ['timeout' => self::ACT, 'headers' => ['Content-Type' => 'application/json'], 'body' => $text];
    }

    /**
     * Writes the message itself into a file.
     *
     * @throws recall_milter_away
     */
    public function message(string $hold, string $file): bool
    {
        $options = ['timeout' => self::ACT, 'sink' => $file];
        return $this->send('GET', '/holds/' . rawurlencode($hold) . '/message', $options)->getStatusCode() === 200;
    }

    /** Returns by how many seconds the gateway's clock is ahead of one that says now. */
    public function ahead(int $now): int
    {
        return $this->now === null ? 0 : $this->now - $now;
    }

    private function call(string $method, string $path, array $options): array
    {
        $answer = $this->send($method, $path, $options);
        $data   = json_decode((string) $answer->getBody(), true);
        if (!is_array($data)) {
            throw new recall_milter_away($path . ': the answer is not JSON');
        }
        return [$answer->getStatusCode(), $data];
    }

    private function send(string $method, string $path, array $options)
    {
        $options['headers'] = $this->headers + ($options['headers'] ?? []);
        // the token goes to no other server, and problems are answers
        $options += ['allow_redirects' => false, 'http_errors' => false, 'connect_timeout' => self::LOOK];
        try {
            $answer = $this->http->request($method, $this->base . $path, $options);
        } catch (\GuzzleHttp\Exception\GuzzleException $e) {
            throw new recall_milter_away($path . ': no answer');
        }
        $status = $answer->getStatusCode();
        if ($status === 401 || $status === 429 || $status >= 500) {
            throw new recall_milter_away($path . ': status ' . $status);
        }
        $date = strtotime($answer->getHeaderLine('Date'));
        if ($date !== false) {
            $this->now = $date;
        }
        return $answer;
    }
}
