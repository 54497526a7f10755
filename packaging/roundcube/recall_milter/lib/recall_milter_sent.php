<?php

/**
 * What this session has sent, and what is known of it. It lives in the session: the page after "Send" loads within half
 * a second, and every tab shows the same.
 */
class recall_milter_sent
{
    /** How many messages are followed: the newest. */
    const MOST = 10;

    /** For how many seconds a message is looked for: a server in front of the gateway can take its time. */
    const APPEARS = 60;

    /** For how many seconds the end of a wait is told, so that every tab hears of it. */
    const TOLD = 20;

    /** For how many seconds answers of other gateways are waited for. */
    const ANSWERS = 86400;

    /** For how many seconds the gateway is left alone after it gave no answer. */
    const REST = 30;

    /** Notes a message. One that was taken back and is sent again keeps its Message-ID: its old holds don't count. */
    public static function add(string $id, string $folder, int $now)
    {
        $all  = self::all();
        $old  = array_merge($all[$id]['old'] ?? [], $all[$id]['holds'] ?? []);
        $sent = ['folder' => $folder, 'at' => $now, 'old' => $old, 'holds' => [], 'known' => null, 'outcome' => ''];
        unset($all[$id]);
        self::keep('sent', array_slice([$id => $sent] + $all, 0, self::MOST));
    }

    /** Returns what was noted of a message; null: this session did not send it, and did nothing to it. */
    public static function get(string $id)
    {
        return self::all()[$id] ?? null;
    }

    /** Changes what was noted of a message. */
    public static function set(string $id, array $changes)
    {
        $all = self::all();
        if (isset($all[$id])) {
            $all[$id] = $changes + $all[$id];
            self::keep('sent', $all);
        }
    }

    /** Forgets a message. */
    public static function forget(string $id)
    {
        $all = self::all();
        unset($all[$id]);
        self::keep('sent', $all);
    }

    /**
     * Asks the gateway how the messages are, and returns those of this person that wait, wherever they were sent.
     *
     * @throws recall_milter_away
     */
    public static function look(recall_milter_api $api, int $now): array
    {
        $waiting = recall_milter_message::all($api->waiting(), $api->ahead($now));
        foreach (self::all() as $id => $entry) {
            $holds = self::holds($api, $id);
            if ($holds) {
                self::learn($id, $holds, $api->ahead($now), $now);
            } elseif ($now - $entry['at'] > self::APPEARS) {
                self::forget($id);
            }
        }
        self::keep('count', count($waiting));
        self::keep('away', 0);
        return $waiting;
    }

    /**
     * Returns the holds of a message, without those of an earlier time that it was sent.
     *
     * @throws recall_milter_away
     */
    public static function holds(recall_milter_api $api, string $id): array
    {
        $old = self::get($id)['old'] ?? [];
        return array_values(array_filter($api->of_message($id), function ($hold) use ($old) {
            return !in_array($hold['id'], $old, true);
        }));
    }

    /** Notes how a message is, and forgets it some time after its wait has ended. */
    public static function learn(string $id, array $holds, int $ahead, int $now): array
    {
        $message = recall_milter_message::of($holds, $ahead);
        $entry   = self::get($id);
        if ($entry === null) {
            return $message;
        }
        $ended = in_array($message['state'], ['waiting', 'leaving'], true) ? null : ($entry['ended'] ?? $now);
        $told  = $entry['outcome'] === '' ? self::TOLD : self::ANSWERS;
        if ($ended !== null && $now - $ended > $told) {
            self::forget($id);
        } else {
            self::set($id, ['holds' => array_column($holds, 'id'), 'known' => $message, 'ended' => $ended]);
        }
        return $message;
    }

    /**
     * Returns what is known, for the browser. Moments become seconds from now.
     *
     * @param array $others further messages to list; those that the session knows are not listed twice
     */
    public static function known(int $now, array $others = []): array
    {
        $messages = [];
        $pending  = false;
        foreach (self::all() as $id => $entry) {
            $pending = $pending || $entry['known'] === null;
            if ($entry['known'] !== null) {
                $messages[$id] = $entry['known'] + ['outcome' => $entry['outcome']];
            }
        }
        foreach ($others as $message) {
            $messages += [$message['id'] => $message + ['outcome' => '']];
        }
        foreach ($messages as &$message) {
            $message['left'] = $message['due'] === null ? null : max(0, $message['due'] - $now);
            unset($message['due']);
        }
        $away = self::away($now);
        $sum  = $away ? null : self::kept('count', null);
        return ['messages' => array_values($messages), 'pending' => $pending, 'away' => $away, 'count' => $sum];
    }

    /** Says whether the gateway gave no answer a short time ago. */
    public static function away(int $now): bool
    {
        return $now < self::kept('away', 0);
    }

    /** Notes that the gateway gave no answer, and says whether that is new. */
    public static function set_away(int $now): bool
    {
        $new = self::kept('away', 0) === 0;
        self::keep('away', $now + self::REST);
        return $new;
    }

    private static function all(): array
    {
        return self::kept('sent', []);
    }

    private static function kept(string $what, $default)
    {
        return $_SESSION['recall_milter_' . $what] ?? $default;
    }

    private static function keep(string $what, $value)
    {
        $_SESSION['recall_milter_' . $what] = $value;
    }
}
